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
        """Use the approval up, all being checked. A device stops asking when it has its tokens: who asks again has stolen the code."""
        stored: StoredDevice = self.request.credential
        parts = self.parts
        return 200, parts.redeem(
            stored.model, self.request.client.model, self.GRANT_TYPE, claim=lambda: parts.devices.claim(stored.digest, parts.clock()),
            refused=REFUSED), []
