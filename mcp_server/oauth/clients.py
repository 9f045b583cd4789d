"""Every client there is: those of the registry, and those that a URL names (Client ID Metadata Documents)."""

from __future__ import annotations

from mcp_server.audit import Audit
from mcp_server.errors import ClientDocumentUnavailable, InvalidClient
from mcp_server.oauth import client_id_urls
from mcp_server.oauth.client_id_urls import AllowedDomains, host_of
from mcp_server.oauth.models import Client
from mcp_server.oauth.ports import ClientDocumentSource, ClientStore, DocumentUnavailable
from mcp_server.oauth.revocations import Revocations

NOT_SERVED = ("This server does not know clients by their web address. Register the application, or ask the operator of this server to switch that "
              "on (CIMD_ALLOWED_DOMAINS).")
NOT_READABLE = ("The client document of {host} could not be read. At exactly the client id there must be a JSON object of at most 5 kB, served with "
                "status 200 as application/json, without a redirect, at a public address.")
NO_ANSWER = ("{host}, where this application describes itself, does not answer as it should. Try again in a minute. If that does not help, tell the "
             "people who run the application, or the operator of this server.")
SHUT_OUT = "The operator of this server has shut this application out."


class Clients:
    """A client id that is a URL is looked up there, and never in the registry; any other only in the registry."""

    def __init__(
        self, registered: ClientStore, documents: ClientDocumentSource, domains: AllowedDomains, revocations: Revocations, audit: Audit,
    ) -> None:
        self._registered = registered
        self._documents = documents
        self._domains = domains
        self._revocations = revocations
        self._audit = audit

    def find(self, client_id: str, *, lately: bool = False) -> Client | None:
        """The client; None when it is not registered.

        `lately`: while the site of a client does not answer, what it said a while ago will do. For what a person approved already.
        Raises InvalidClient for a URL that names no client, and ClientDocumentUnavailable when its site does not answer.
        """
        if not client_id_urls.is_url(client_id):
            return self._registered.find(client_id)
        if not self._domains:
            raise InvalidClient(NOT_SERVED, detail="client documents are off")
        client_id_urls.require_good(client_id)
        host = host_of(client_id)
        if not self._domains.cover(host):
            raise InvalidClient(f"Applications of {host} are not accepted here. Ask the operator of this server to add {host} to "
                                "CIMD_ALLOWED_DOMAINS.", detail="domain not listed")
        if self._revocations.any_revoked((f"client:{client_id}",)):
            raise InvalidClient(SHUT_OUT, detail="client revoked")
        return self._from_its_document(client_id, lately=lately)

    def _from_its_document(self, client_id: str, *, lately: bool) -> Client:
        try:
            return self._documents.client(client_id)
        except DocumentUnavailable as error:
            self._audit.record("oauth", "client_document_unavailable", "failure", client_id=client_id, reason=str(error))
            if error.lasting:
                raise InvalidClient(NOT_READABLE.format(host=host_of(client_id)), detail=str(error)) from error
            if lately and (last := self._documents.last(client_id)) is not None:
                return last
            raise ClientDocumentUnavailable(NO_ANSWER.format(host=host_of(client_id)), detail=str(error)) from error
