"""The device code grant (RFC 8628 §3.4): a device asks again and again, until a person has answered elsewhere."""

from __future__ import annotations

from typing import Any, ClassVar

from authlib.oauth2.rfc8628 import DeviceCodeGrant as AuthlibDeviceCodeGrant

from mcp_server.errors import AccessDenied, AuthorizationPending, ExpiredToken, InvalidGrant, SlowDown, UnauthorizedClient
from mcp_server.oauth import resources
from mcp_server.oauth.authorization_server import EndpointRequest, KnownClient
from mcp_server.oauth.client_authentication import METHODS
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.models import DeviceAuthorization

REFUSED = "The device code is not valid. Start again on the device."
LEEWAY = 1.0
"""Seconds that a poll may be early: the network is not as punctual as the device."""


class StoredDevice:
    """A device authorization as Authlib asks about it."""

    def __init__(self, digest: str, device: DeviceAuthorization) -> None:
        self.digest = digest
        self.model = device

    def get_client_id(self) -> str:
        return self.model.client_id


class DeviceCodeGrant(AuthlibDeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(METHODS)
    parts: GrantParts
    request: EndpointRequest

    def authenticate_token_endpoint_client(self) -> KnownClient:
        client: KnownClient = super().authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClient(f"This client is not registered for the grant type {self.GRANT_TYPE}.")
        self.request.client = client
        return client

    def query_device_credential(self, device_code: str) -> StoredDevice:
        """Find it, whoever asks; only its own client learns that it exists, and nobody else's poll counts."""
        for digest in self.parts.digests.candidates("device", device_code):
            found = self.parts.devices.find(digest, self.parts.clock())
            if found is not None and found.client_id == self.request.client.get_client_id():
                return StoredDevice(digest, found)
        raise InvalidGrant(REFUSED, detail="unknown, long expired or of another client")

    def validate_device_credential(self, credential: StoredDevice) -> str:
        """Who approved. Raises what the device has to know while nobody did (§3.5)."""
        device, now = credential.model, self.parts.clock()
        resources.require_ours(self.request.parameters.resources, self.parts.issuer)
        if device.approved is False:
            raise AccessDenied("The person refused the request.")
        if device.codes_expire_at <= now and not device.claimed:
            raise ExpiredToken("The codes have expired. Start again on the device.")
        if device.approved is None:
            self._require_patience(credential)
            raise AuthorizationPending("Nobody has answered yet. Ask again after the interval.")
        return device.subject

    def _require_patience(self, credential: StoredDevice) -> None:
        if not self.parts.devices.poll(credential.digest, self.parts.clock(), leeway=LEEWAY):
            self.parts.audit.record("security", "device_polled_too_fast", "denied", client_id=credential.model.client_id)
            raise SlowDown("That was too soon. Wait five seconds longer than before, from now on.")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Use the approval up, now that everything was checked, and before the tokens are made (as for an authorization code)."""
        stored: StoredDevice = self.request.credential
        parts, device, client = self.parts, stored.model, self.request.client.model
        grant = parts.in_force(device.grant_id)
        if grant is None:
            raise InvalidGrant(REFUSED, detail="the person or the grant is gone")
        if device.claimed or not parts.devices.claim(stored.digest, parts.clock()):
            self._revoke_after_replay(device)
            raise InvalidGrant(REFUSED, detail="replayed")
        grant = parts.used(grant)
        refresh_token = parts.add_refresh_token(grant) if "refresh_token" in client.grant_types else None
        parts.audit.record("oauth", "token_issued", "success", client_id=client.client_id, user_id=device.subject,
                           grant_type=self.GRANT_TYPE, grant_id=device.grant_id, scope=device.scope)
        return 200, parts.token_response(grant, scope=device.scope, refresh_token=refresh_token), []

    def _revoke_after_replay(self, device: DeviceAuthorization) -> None:
        """The device stops asking when it has its tokens: somebody else has its code, and may have been the first (OAuth 2.1 §7.5.3)."""
        self.parts.revoke_grant(device.grant_id, last_refresh=self.parts.clock() + self.parts.refresh_lifetime)
        self.parts.audit.record("security", "device_code_replayed", "denied", client_id=device.client_id, user_id=device.subject,
                                grant_id=device.grant_id)
