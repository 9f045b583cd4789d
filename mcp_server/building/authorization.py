"""The authorization server, put together."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from config import logs
from config.settings import Settings
from mcp_server.background import every, sweeping_keys
from mcp_server.building.foundations import Background, Foundations
from mcp_server.oauth.administration import Administration
from mcp_server.oauth.authorization_server import AuthorizationServer
from mcp_server.oauth.authorize_endpoint import AuthorizeEndpoint
from mcp_server.oauth.client_assertion import ClientAssertions
from mcp_server.oauth.client_authentication import ClientAuthentication
from mcp_server.oauth.client_configuration_endpoint import ClientConfigurationEndpoint
from mcp_server.oauth.client_id_documents import ClientIdDocuments
from mcp_server.oauth.client_id_urls import AllowedDomains
from mcp_server.oauth.clients import Clients
from mcp_server.oauth.device_approval import DeviceApproval
from mcp_server.oauth.device_authorization_endpoint import DeviceAuthorizationEndpoint
from mcp_server.oauth.grants.authorization_code import AuthorizationCodeGrant, S256Challenge
from mcp_server.oauth.grants.client_credentials import ClientCredentialsGrant
from mcp_server.oauth.grants.device_code import DeviceCodeGrant
from mcp_server.oauth.grants.identity_assertion import IdentityAssertionGrant
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.grants.refresh_token import RefreshTokenGrant
from mcp_server.oauth.grants_in_force import GrantsInForce
from mcp_server.oauth.identity.accounts import Accounts, AllowList
from mcp_server.oauth.identity.identity_assertions import IdentityAssertions
from mcp_server.oauth.identity.provider import Provider
from mcp_server.oauth.identity.relying_party import ProviderClient, RelyingParty
from mcp_server.oauth.introspection_endpoint import IntrospectionEndpoint
from mcp_server.oauth.key_records import KeyRecords, KeyWrapping
from mcp_server.oauth.keys import SigningKeys
from mcp_server.oauth.metadata import authorization_server_metadata, protected_resource_metadata
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.oauth.registration_endpoint import RegistrationEndpoint
from mcp_server.oauth.revocation_endpoint import RevocationEndpoint
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.token_endpoint import TokenEndpoint
from mcp_server.oauth.tokens import AccessTokens
from mcp_server.outbound.client_documents import FetchedClientDocuments
from mcp_server.outbound.jwks import CachedJwks
from mcp_server.outbound.provider_http import ProviderHttp
from mcp_server.outbound.safe_fetch import Fetch
from mcp_server.web.services import AuthorizationServices

FOLLOW_SECONDS, KEYS_SECONDS, SWEEP_SECONDS = 1.0, 2.0, 60

GRANTS: tuple[tuple[type, list[Any]], ...] = (
    (AuthorizationCodeGrant, [S256Challenge()]), (RefreshTokenGrant, []), (ClientCredentialsGrant, []), (DeviceCodeGrant, []))
"""What the token endpoint serves, and so what the metadata names."""
NEED_A_PERSON = (DeviceCodeGrant,)
"""Not served with AUTHORIZATION_MODE=auto, where nobody is asked."""


def build_authorization(base: Foundations, fetch: Fetch) -> tuple[AuthorizationServices, tuple[Background, ...]]:
    """The objects, and what runs beside the requests. `fetch` follows URLs that a stranger gave."""
    settings, state, registry, clock, audit, digests = base.settings, base.state, base.registry, base.clock, base.audit, base.digests
    key_records = KeyRecords(registry.signing_keys, KeyWrapping(settings.jwt_secret, settings.jwt_secret_previous), clock)
    signing_keys = SigningKeys(
        settings.jwt_secret, settings.jwt_secret_previous, algorithm=settings.jwt_algorithm, records=key_records, clock=clock,
        warn=logs.get("keys").warning)
    access_tokens = AccessTokens(settings.issuer, settings.resource, signing_keys, settings.access_token_lifetime, clock)
    revocations = Revocations(
        registry.revocations, state.revocations, clock, fail_mode=settings.revocation_fail_mode, max_staleness=settings.revocation_max_staleness,
        warn=logs.get("revocations").warning)
    assertions = ClientAssertions(settings.issuer, state.single_use, CachedJwks(fetch, clock), clock)
    domains = AllowedDomains(settings.cimd_allowed_domains)
    documents = ClientIdDocuments(domains, _redirect_hosts(settings), clock)
    clients = Clients(registry.clients, FetchedClientDocuments(fetch, documents.client_from, audit, clock), domains, revocations, audit)
    server = AuthorizationServer(clients, ClientAuthentication(clients, registry.clients, digests, assertions))
    parts = GrantParts(
        issuer=settings.issuer, codes=state.codes, devices=state.devices, refresh_tokens=state.refresh_tokens, grants=state.grants,
        users=registry.users, revocations=revocations, access_tokens=access_tokens, digests=digests, audit=audit, clock=clock,
        code_lifetime=settings.authorization_code_lifetime, refresh_lifetime=settings.refresh_token_lifetime,
        refresh_idle=settings.refresh_token_idle_lifetime, refresh_grace=settings.refresh_reuse_grace)
    http = ProviderHttp()
    published = CachedJwks(http, clock)
    accounts = Accounts(
        registry.users, AllowList(settings.oidc_allowed_domains, settings.oidc_allowed_groups, settings.oidc_groups_claim), audit, clock)
    authorize = AuthorizeEndpoint(server, settings.authorization_mode)
    _register_grants(server, parts, automatic=authorize.automatic)
    if settings.id_jag_issuers:
        server.register_grant(type("IdentityAssertionGrant", (IdentityAssertionGrant,), {"parts": parts, "accounts": accounts, "assertions": (
            IdentityAssertions(settings.issuer, [Provider(issuer, http, clock) for issuer in settings.id_jag_issuers],
                               single_use=state.single_use, published=published, clock=clock))}))
    registration = RegistrationEndpoint(
        issuer=settings.issuer, mode=settings.dcr_mode, configured_tokens=(settings.dcr_auth_token, *settings.dcr_auth_token_previous),
        initial_access_tokens=registry.initial_access_tokens, clients=registry.clients, allowed_hosts=_redirect_hosts(settings),
        automatic=authorize.automatic, digests=digests, audit=audit, clock=clock)
    grants_in_force = GrantsInForce(state.grants, revocations, tokens_accepted_for=access_tokens.accepted_for, clock=clock)
    built = AuthorizationServices(
        clients=registry.clients, users=registry.users, grants=state.grants,
        grants_in_force=grants_in_force,
        administration=Administration(
            clients=registry.clients, users=registry.users, initial_access_tokens=registry.initial_access_tokens, grants=grants_in_force,
            revocations=revocations, digests=digests, audit=audit, clock=clock,
            tokens_last=settings.refresh_token_lifetime + access_tokens.accepted_for),
        initial_access_tokens=registry.initial_access_tokens, single_use=state.single_use, signing_keys=signing_keys,
        key_records=key_records, access_tokens=access_tokens, revocations=revocations,
        relying_party=_relying_party(base, http, published, accounts),
        authorize=authorize, token=TokenEndpoint(server, registry.clients, audit, clock),
        revocation=RevocationEndpoint(
            server, access_tokens=access_tokens, refresh_tokens=state.refresh_tokens, digests=digests, revocations=revocations, audit=audit,
            clock=clock),
        introspection=IntrospectionEndpoint(
            server, issuer=settings.issuer, access_tokens=access_tokens, refresh_tokens=state.refresh_tokens, grants=state.grants,
            users=registry.users, digests=digests, revocations=revocations, audit=audit, clock=clock),
        device_authorization=DeviceAuthorizationEndpoint(
            server, state.devices, issuer=settings.issuer, digests=digests, audit=audit, clock=clock),
        device_approval=DeviceApproval(parts, clients),
        registration=registration,
        client_configuration=ClientConfigurationEndpoint(
            registration, registry.clients, digests=digests, revocations=revocations, audit=audit, clock=clock,
            tokens_last=settings.refresh_token_lifetime + settings.authorization_code_lifetime + access_tokens.accepted_for),
        metadata=authorization_server_metadata(
            settings.issuer, grant_types=server.grant_types, registration=settings.dcr_mode != "off",
            jwks=signing_keys.published, client_documents=bool(domains)),
        resource_metadata=protected_resource_metadata(settings.issuer))
    return built, (
        every(FOLLOW_SECONDS, revocations.follow), every(KEYS_SECONDS, signing_keys.follow), every(SWEEP_SECONDS, sweeping_keys(key_records, audit)))


def _register_grants(server: AuthorizationServer, parts: GrantParts, *, automatic: bool) -> None:
    """Authlib makes a grant anew for each request; the class of this app carries what it is made of."""
    for grant, extensions in GRANTS:
        if automatic and grant in NEED_A_PERSON:
            continue
        server.register_grant(type(grant.__name__, (grant,), {"parts": parts}), extensions)


def _relying_party(base: Foundations, http: ProviderHttp, published: CachedJwks, accounts: Accounts) -> RelyingParty | None:
    settings = base.settings
    if not settings.oidc_issuer or not settings.oidc_client_id or not settings.oidc_client_secret:
        return None
    client = ProviderClient(settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_scopes, f"{settings.issuer}/login/oidc/callback")
    return RelyingParty(
        settings.oidc_name or urlsplit(settings.oidc_issuer).netloc, client, Provider(settings.oidc_issuer, http, base.clock), http=http,
        published=published, accounts=accounts, clock=base.clock)


def _redirect_hosts(settings: Settings) -> frozenset[str]:
    instances = {origin.removeprefix("https://") for origin in settings.servicenow_instances}
    return frozenset(settings.dcr_allowed_redirect_hosts) or frozenset(instances | LOOPBACK)
