"""Client applications that are known by a URL: the document there describes them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.gateway import ClientApplication, without_nones
from tests.tls import says

LOOPBACK = "http://127.0.0.1:33418/cb"


@dataclass(frozen=True)
class Application:
    """A client whose document lies on `site`; `describe(**changes)` publishes it, changed."""

    site: object
    client: ClientApplication

    def document(self, **changes):
        return without_nones({
            "client_id": self.client.client_id, "client_name": "The laptop's editor", "redirect_uris": [self.client.redirect_uri, LOOPBACK],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none"} | changes)

    def describe(self, headers=None, **changes):
        self.site.answer = says(self.document(**changes), **(headers or {}))


def refused_at_authorize(gateway, client, status=400, **changes):
    """The text of the page, which redirects nowhere."""
    response = gateway.authorize(client.asks(**changes), headers={"Accept": "text/html"})
    assert response.status_code == status, response.text
    assert "Location" not in response.headers
    assert "text/html" in response.content_type
    return response.text
