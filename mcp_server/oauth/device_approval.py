"""What a person does with a device's code (RFC 8628 §3.3): see who asks, then approve or refuse, once."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.audit import Result
from mcp_server.oauth.clients import Clients
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.device_authorization_endpoint import LIFETIME
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.models import Client, DeviceAuthorization


@dataclass(frozen=True, slots=True)
class WaitingDevice:
    """A device that nobody has answered yet. `digest` is its user code's."""

    digest: str
    client: Client
    asked: DeviceAuthorization


class DeviceApproval:
    def __init__(self, parts: GrantParts, clients: Clients) -> None:
        self._parts = parts
        self._clients = clients

    def find(self, user_code: str) -> WaitingDevice | None:
        """None when the code is wrong, expired or answered: nobody learns which."""
        for digest in self._parts.digests.candidates("user-code", user_code):
            asked = self._parts.devices.find_by_user_code(digest, self._parts.clock())
            if asked is not None and asked.approved is None and (client := self._clients.find(asked.client_id)) is not None:
                return WaitingDevice(digest, client, asked)
        return None

    def approve(self, waiting: WaitingDevice, subject: str) -> bool:
        """False when it was answered, or expired, meanwhile."""
        parts, asked, now = self._parts, waiting.asked, self._parts.clock()
        grant = parts.new_grant(new_id(), waiting.client, subject=subject, scope=asked.scope, now=now, redeemable_for=LIFETIME)
        parts.grants.add(grant)  # first: no token may come of an approval that an operator cannot see
        if not parts.devices.decide(waiting.digest, approved=True, subject=subject, grant_id=grant.grant_id, now=now):
            parts.revoke_grant(grant.grant_id, last_refresh=grant.ends_at_last)
            return False
        self._record(waiting, subject, "success", grant.grant_id)
        return True

    def refuse(self, waiting: WaitingDevice, subject: str) -> bool:
        """False when it was answered, or expired, meanwhile."""
        refused = self._parts.devices.decide(waiting.digest, approved=False, subject=subject, grant_id="", now=self._parts.clock())
        if refused:
            self._record(waiting, subject, "denied", None)
        return refused

    def _record(self, waiting: WaitingDevice, subject: str, result: Result, grant_id: str | None) -> None:
        self._parts.audit.record(
            "oauth", "device_consent", result, client_id=waiting.asked.client_id, user_id=subject,
            grant_id=grant_id, scope=waiting.asked.scope, requested_from=waiting.asked.requested_from)
