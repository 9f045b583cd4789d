"""A client for devices, as it is on PyPI: it discovers, asks for a code, polls while a person approves, and calls a tool."""

from __future__ import annotations

import json
from typing import ClassVar

import requests
from requests_oauth2client import DeviceAuthorizationPollingJob, OAuth2Client

from mcp_server.oauth.models import DEVICE_CODE
from tests.person import Person
from tests.running import SECRETS


class Impatient(DeviceAuthorizationPollingJob):
    """Does not sleep, and remembers what it was told."""

    told: ClassVar[list[str]] = []

    def sleep(self):
        pass

    def authorization_pending(self):
        self.told.append("pending")

    def slow_down(self):
        super().slow_down()
        self.told.append(f"slow down to {self.interval}")


def test_a_client_for_devices_is_approved_by_a_person_elsewhere_and_calls_a_tool(gateway):
    gateway.started()
    gateway.add_user("ada", "a password of some length")
    metadata = {"client_name": "a headless machine", "grant_types": [DEVICE_CODE, "refresh_token"], "token_endpoint_auth_method": "none"}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {SECRETS['DCR_AUTH_TOKEN']}"}
    client_id = json.loads(gateway.request("POST", "/oauth/register", json.dumps(metadata), headers)[1])["client_id"]

    with requests.Session() as session:
        document = session.get(f"{gateway.url}/.well-known/oauth-authorization-server", timeout=20).json()
        client = OAuth2Client(
            document["token_endpoint"], device_authorization_endpoint=document["device_authorization_endpoint"], client_id=client_id,
            session=session, testing=True)  # because there is no https here
        asked = client.authorize_device(scope="tools:read tools:execute")
        job = Impatient(client, asked)
        assert [job(), job()] == [None, None]
        person = Person("ada", "a password of some length")
        page = person.approves_device(asked.verification_uri, asked.user_code.lower())
        tokens = job()
        refreshed = client.refresh_token(tokens)

    assert job.told == ["pending", "slow down to 10"]
    assert "Go back to your device" in page
    assert person.saw == ["a headless machine", "127.0.0.1"]
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "from a machine"}}}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {refreshed.access_token}"}
    status, body = gateway.request("POST", "/mcp", json.dumps(message), headers)
    assert status == 200
    assert json.loads(body)["result"]["content"][0]["text"] == "from a machine"
    logged = gateway.output()
    assert asked.user_code not in logged
    assert asked.device_code not in logged
