"""A device without a browser: what it asks, and the person who types its code."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from mcp_server.oauth.models import DEVICE_CODE
from tests.gateway import Browser, ClientApplication, hidden_fields, without_nones

GRANTS = ("refresh_token", DEVICE_CODE)


def device_client(gateway, secret=None, **changes) -> ClientApplication:
    """As an operator creates it: public, unless there is a secret."""
    return gateway.add_client(secret, **{"client_name": "the sensor", "redirect_uris": (), "response_types": (), "grant_types": GRANTS, **changes})


@dataclass
class Device:
    """One authorization that a client asked for: the answer, and the polls."""

    gateway: object
    client: ClientApplication
    answer: dict

    @property
    def user_code(self):
        return self.answer["user_code"]

    def poll(self, worker=None, **changes):
        form = {"grant_type": DEVICE_CODE, "device_code": self.answer["device_code"]} | self.client.proof | changes
        return (worker or self.gateway).token(without_nones(form))

    def hears(self, **changes):
        """The error of one poll, or "tokens"."""
        response = self.poll(**changes)
        assert response.headers["Cache-Control"] == "no-store"
        if response.status_code == 200:
            return "tokens"
        assert response.status_code == 400, response.text
        assert "access_token" not in response.json
        return response.json["error"]


def asks(gateway, client, **changes):
    """The device authorization request, sent."""
    return gateway.post("/oauth/device_authorization", data=without_nones(client.proof | changes))


def device(gateway, client=None, **changes) -> Device:
    client = client or device_client(gateway)
    response = asks(gateway, client, **changes)
    assert response.status_code == 200, response.text
    return Device(gateway, client, response.json)


def approval_page(browser: Browser, typed):
    """What a person sees who opened /device and typed this, after signing in where that is needed."""
    form = browser.get("/device")
    page = browser.post("/device", hidden_fields(form) | {"user_code": typed})
    while page.status_code in (302, 303):
        path = urlsplit(page.location).path
        page = browser.sign_in(browser.get(page.location)) if path == "/login" else browser.get(page.location)
    return page


def decide(browser: Browser, page, decision="approve", headers=None, **changes):
    assert page.status_code == 200, page.text
    return browser.post("/device/approval", without_nones(hidden_fields(page) | {"decision": decision} | changes), headers=headers or {})


def approve(gateway, user_code, decision="approve"):
    browser = Browser(gateway)
    page = decide(browser, approval_page(browser, user_code), decision)
    assert page.status_code == 200, page.text
    return page
