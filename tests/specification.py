"""What must hold, with its source: the rows that tests cite by `@pytest.mark.requirement("ID")`.

`REQUIREMENTS` are proven by a test now; `LATER` are not, with the reason. tests/test_specification.py holds both to it.
"""

from __future__ import annotations

from typing import NamedTuple


class Requirement(NamedTuple):
    """`behavior`: what is sent, and what a correct server does."""

    source: str
    behavior: str


REQUIREMENTS: dict[str, Requirement] = {
    # Real clients: docs/clients.md
    "RCL-001": Requirement(
        "MCP authorization",
        "each client in each era: finds the metadata, registers, a person approves once, tools/list, tools/call; an hour later the next call "
        "refreshes"),
    "RCL-002": Requirement("MCP scope challenge", "each client with tools:read alone: a 403, a person approves again, both scopes are kept"),
    "RCL-003": Requirement("RFC 8252 7.3", "each client by the id of a client that the operator made: the same flow on any loopback port"),
    # Flow
    "FLO-001": Requirement(
        "MCP auth 2025-06-18 to 2026-07-28; guide check list",
        "discovery, DCR, authorize + PKCE, token, tools/list, tools/call, refresh, revoke: every step works; the revoked token gets "
        "401"),
    "FLO-002": Requirement(
        "RFC 6749 2.3.1; RFC 7591 2",
        "the flow once with each advertised token_endpoint_auth_method: 201 with that method echoed; 200 at the token endpoint (Basic "
        "must not need client_id in the body)"),
    # Registration
    "REG-001": Requirement("RFC 7591 3; guide", "registration without Authorization: 401 + WWW-Authenticate: Bearer; no client made"),
    "REG-002": Requirement(
        "RFC 6750 3.1",
        "wrong registration token: prefix, longer, blank inside, other case, empty, Basic, 6 kB, bytes: 400/401/403, never 5xx, never "
        "a client_id"),
    "REG-003": Requirement(
        "RFC 7591 3.2.1",
        "good registration: 201 JSON: client_id, redirect_uris echoed; client_secret_expires_at whenever there is a client_secret"),
    "REG-005": Requirement(
        "RFC 6749 10.10; OAuch ClientSecretEntropy",
        "five registrations: distinct identifiers and secrets, at least 128 bits each"),
    "REG-006": Requirement("RFC 7591 2", "redirect_uris absent or [] with the code grant: 400 invalid_redirect_uri or invalid_client_metadata"),
    "REG-007": Requirement(
        "RFC 6749 3.1.2; OIDF OIDCCRedirectUriRegFrag",
        'redirect URI with a fragment (also empty "#"): 400 invalid_redirect_uri'),
    "REG-009": Requirement(
        'MCP "localhost or HTTPS"; OAuth 2.1 1.5',
        "http:// redirect URI to a host that is not loopback: 400 invalid_redirect_uri"),
    "REG-010": Requirement(
        "Authlib 1.8 is_secure_transport fix; RFC 9700 4.1",
        "userinfo (https://good@evil), http://localhost:80@evil, localhost.evil, CR LF, empty host: 400 invalid_redirect_uri"),
    "REG-011": Requirement("RFC 9700 4.1.3", "wildcards in host or path, backslash: 400 invalid_redirect_uri"),
    "REG-014": Requirement(
        "OAuth 2.1 10; ASVS 10.4.4",
        "grant_types with password or implicit: 400 invalid_client_metadata, or dropped from the echo"),
    "REG-015": Requirement("OAuth 2.1 10.1", "response_types with token: 400, or dropped from the echo"),
    "REG-016": Requirement("RFC 7591 2; workers 0.9.0", "unknown token_endpoint_auth_method: 400 invalid_client_metadata, or replaced in the echo"),
    "REG-018": Requirement("RFC 7591 2; OWASP API3", "unknown members, is_admin, trusted, skip_consent: 201, ignored (no mass assignment)"),
    "REG-019": Requirement(
        "RFC 7591 3.2.2",
        'not JSON, array, null, 20 000 "[", bytes, form body, wrong content type: 400 (415) JSON error, never 5xx'),
    "REG-020": Requirement("OWASP API4", "200 kB name, 5 000 URIs, 100 kB URI, 3 MB body: 400 or 413"),
    "REG-022": Requirement("workers 0.7.1", "client_uri, logo_uri, tos_uri, policy_uri, jwks_uri = javascript:: 400, or dropped"),
    "REG-024": Requirement("RFC 7591 2; ASVS 10.4.11", "scope beyond the supported ones: 400, or narrowed in the echo"),
    "REG-025": Requirement("RFC 7591 3", "GET, PUT, PATCH, DELETE on the registration endpoint: 405 (404)"),
    "REG-027": Requirement("RFC 7591 2", "token_endpoint_auth_method none: no client_secret in the answer, or 400"),
    "REG-028": Requirement("RFC 6750 2.3; OAuth 2.1 5.1", "the registration token as ?access_token=: 400/401"),
    "REG-029": Requirement("RFC 7592 2", "RFC 7592: own token, none, another client's, after DELETE: 200 / 401 / 401 or 403 / 401"),
    "REG-031": Requirement("RFC 7591 2.3", "unsigned or forged software_statement: ignored, or 400 invalid_software_statement"),
    "REG-032": Requirement(
        "guide RATE_LIMIT_OAUTH; arXiv 2605.22333 (DCR flaws, 96.6 %)",
        "200 registrations in a row: 429 + Retry-After at the limit"),
    "REG-033": Requirement("MCP BP; workers 0.5.0 (TTL)", "registration of 100 000 clients over time: bounded store; unused clients expire"),
    # Client ID Metadata Documents (only if advertised, but CIM-002 always)
    "CIM-001": Requirement("MCP 2026-07-28 client registration", "client_id_metadata_document_supported in metadata: present only if it works"),
    "CIM-002": Requirement(
        "draft CIMD 6.5; FastMCP 3.4.3; omnara PR 513",
        "client_id = URL of 127.0.0.1, localhost, 2130706433, 0x7f000001, 127.1, ::ffff:127.0.0.1, x@127.0.0.1, nip.io: refused; no "
        "outbound connection"),
    "CIM-003": Requirement("draft CIMD 6.5", "public URL that redirects to loopback: not followed"),
    "CIM-005": Requirement("workers 0.10.2", "10 MB document, document at 1 byte/s: bounded size and time"),
    "CIM-006": Requirement("draft CIMD 3", "http:, no path, fragment, userinfo, dot segments: refused"),
    "CIM-007": Requirement("draft CIMD 4.1", "document with client_secret or client_secret_* method: refused"),
    # Authorization endpoint
    "AUT-001": Requirement(
        "RFC 6749 4.1.2",
        "good request; state with reserved characters, Unicode, quotes, markup, 1 000 characters: code, and state exactly as sent"),
    "AUT-002": Requirement("RFC 6749 4.1.2.1", 'client_id unknown, empty, path, SQL, NUL, 5 kB, {"$ne":null}: 4xx page, no redirect'),
    "AUT-003": Requirement("RFC 6749 4.1.2.1", "client_id absent: 4xx page, no redirect"),
    "AUT-006": Requirement("RFC 6749 3.1.2.3", "no redirect_uri, two registered: refused without a guess"),
    "AUT-007": Requirement(
        "RFC 8252 7.3; OAuth 2.1 8.4.2",
        "registered http://127.0.0.1/callback, request with :51004; also other path, suffix host, userinfo: port allowed; the rest "
        "refused"),
    "AUT-008": Requirement("OAuth 2.1 4.1.2.1; RFC 7636 4.4.1", "public client without code_challenge: redirect error invalid_request with state"),
    "AUT-010": Requirement("MCP; ASVS 10.4.6; OIDF PAREnsurePlainPKCERejected", "code_challenge_method=plain: invalid_request"),
    "AUT-011": Requirement("RFC 7636 4.3; workers 0.9.0", "code_challenge without a method: invalid_request (it means plain)"),
    "AUT-012": Requirement("RFC 7636 4.4.1", 'S512, s256, none, "S256 ": invalid_request'),
    "AUT-014": Requirement(
        "OAuth 2.1 10.1; OIDF EnsureResponseTypeTokenFails",
        "response_type token, id_token, hybrids, none, CODE, foo: unsupported_response_type, unauthorized_client or invalid_request"),
    "AUT-015": Requirement("RFC 6749 4.1.1; OIDF OIDCCResponseTypeMissing", "response_type absent or empty: invalid_request"),
    "AUT-017": Requirement("ASVS 10.4.12", "response_mode fragment, form_post, web_message, jwt, unknown: refused, or answered in the query"),
    "AUT-019": Requirement("RFC 6749 3.1; OIDF EnsureRequestWithUnknownParameter", "unknown parameters: ignored, code issued"),
    "AUT-020": Requirement("OIDF EnsureAuthorizationRequestWithoutStateSuccess", "no state: code issued"),
    "AUT-021": Requirement("CWE-113", "CR LF in state: no injected header"),
    "AUT-023": Requirement("RFC 6749 3.1", "code_challenge= (empty): as if absent: invalid_request"),
    "AUT-024": Requirement("RFC 8707 2; MCP audience binding", "resource = another server: invalid_target, or a token that this server refuses"),
    "AUT-025": Requirement("RFC 8707 2", "resource relative, schemeless, with fragment: invalid_target"),
    "AUT-027": Requirement("OIDC Core 3.1.2.6; OIDF OIDCCPromptNoneNotLoggedIn", "prompt=none without a session: no code, no page: login_required"),
    "AUT-028": Requirement("RFC 9207 2", "an error with iss advertised: iss in the error redirect too"),
    "AUT-030": Requirement("RFC 6749 3.1; OIDF OIDCCEnsurePostRequestSucceeds", "POST to the authorization endpoint: works or 405, never 5xx"),
    "AUT-032": Requirement("OAuth 2.1 4.1.2", "look into the code and the redirect: the challenge is not in them"),
    "AUT-033": Requirement("RFC 9700 4.12", "the redirect after the login form: 302/303, never 307/308"),
    "AUT-034": Requirement("RFC 9700 4.16; MCP BP", "headers of login and consent page: X-Frame-Options: DENY or frame-ancestors 'none'"),
    "AUT-036": Requirement("RFC 9700 4.2; OAuch ReferrerPolicyEnforced", "headers of pages: no-store; Referrer-Policy no-referrer"),
    "AUT-037": Requirement("CWE-79; CVE-2025-62800", "markup in every parameter: never reflected unescaped"),
    "AUT-038": Requirement("RFC 6749 4.1.2.1", "error_description in redirects: ASCII without quotes and backslashes"),
    "AUT-041": Requirement("RFC 9110 9.3.2", "HEAD of a good request: no code minted"),
    "AUT-042": Requirement("OAuth 2.1 7.5", "two transactions in one browser: state, code and verifier of each stay together"),
    "AUT-043": Requirement("OAuth 2.1 7.12.2", "bad scope from an anonymous browser: no bounce to a self-registered site before login"),
    "AUT-045": Requirement("node-oidc-provider validateAccount", "authorization code issued, user disabled before redemption: invalid_grant"),
    "AUT-046": Requirement("Keycloak CVE-2026-16089", "code rewritten to name another client or session: invalid_grant (codes are opaque and bound)"),
    # Login and consent
    "LOG-002": Requirement(
        "MCP BP consent CSRF; FastMCP GHSA-rww4-4w9c-7733; Hydra PR 770",
        "login or consent form posted from another browser, without cookies, without hidden fields: refused, no code"),
    "LOG-004": Requirement("OWASP CSRF; ASVS 3.5.1", "consent form with foreign Origin / Sec-Fetch-Site and good cookies: refused"),
    "LOG-005": Requirement("ASVS 6.2", "wrong, empty, 300-character password: no code"),
    "LOG-006": Requirement("ASVS 6.3.8", "wrong password against unknown user: same status, same page"),
    "LOG-008": Requirement("ASVS 7.2.4", "session identifier before and after login: changes"),
    "LOG-009": Requirement("MCP BP; ASVS 3.3", "cookies: HttpOnly, SameSite, Secure (and __Host-) on HTTPS"),
    "LOG-010": Requirement("RFC 6749 4.1.2.1; OIDF UserRejectsAuthentication", "refuse on the consent page: access_denied with state and iss"),
    "LOG-012": Requirement("CWE-472", "tampered and added hidden fields (redirect_uri, client_id, scope, sub): ignored"),
    "LOG-013": Requirement("OAuth 2.1 7.5", "the consent form sent twice: one code only"),
    "LOG-014": Requirement("MCP BP confused deputy; GHSA-c2jp-c369-7pvx", "second client after consent to the first, same session: asks again"),
    "LOG-016": Requirement("MCP 2026-07-28 localhost risks", "localhost-only redirect URI: extra warning on the consent page"),
    "LOG-017": Requirement("ASVS 14.2.1", "credentials in the query string: refused"),
    "LOG-018": Requirement("ASVS 6.2.8", "password + NUL, + 100 characters, 90 kB, one short: no login, never 5xx (bcrypt stops at 72 bytes)"),
    # Token endpoint
    "TOK-001": Requirement("RFC 6749 5.1; guide", "good exchange: 200 access_token, token_type Bearer, expires_in, refresh_token"),
    "TOK-002": Requirement("RFC 6749 5.1", "headers of answers and errors: Cache-Control: no-store"),
    "TOK-003": Requirement("OAuth 2.1 4.1.3; OIDF AttemptReuseAuthorizationCode", "the code again: 400 invalid_grant"),
    "TOK-005": Requirement("OAuth 2.1 7.5.3", "replay with a wrong verifier: tokens stay alive"),
    "TOK-006": Requirement(
        "RFC 6749 4.1.3; CVE-2026-16089; workers 0.8.0",
        "code of another client: invalid_grant, and the code still works for its owner (S)"),
    "TOK-007": Requirement("OAuth 2.1 4.1.3", "no verifier: invalid_grant or invalid_request"),
    "TOK-009": Requirement("RFC 9700 4.8; CVE-2025-4144", "the challenge as verifier, code_challenge_method=plain: invalid_grant"),
    "TOK-010": Requirement(
        "RFC 7636 4.1; OAuch ShortVerifier",
        "verifier of 5, 42, 129, 5 000 characters or illegal ones, with a fitting hash: refused"),
    "TOK-014": Requirement(
        "RFC 6749 5.2",
        "code unknown, changed, cut, longer, NUL, 50 kB, Unicode, SQL, an access token, absent, empty: invalid_grant or "
        "invalid_request"),
    "TOK-015": Requirement("RFC 6749 4.1.2; ASVS 10.4.3", "code after its lifetime (10 min at most): invalid_grant"),
    "TOK-016": Requirement("RFC 6749 5.2", "no grant_type: invalid_request"),
    "TOK-018": Requirement("RFC 6749 5.2", "a grant the client did not register: unauthorized_client"),
    "TOK-019": Requirement("OAuth 2.1 3.2; OAuch IsGetSupported", "GET with everything in the query: 405 (400/404), no token"),
    "TOK-020": Requirement("RFC 6749 2.3.1; OAuch IsAuthInUriAllowed", "POST with everything in the query: refused"),
    "TOK-022": Requirement("workers 0.8.3", "eight odd Content-Types: 4xx, never 5xx"),
    "TOK-023": Requirement("RFC 6749 3.2", "each parameter twice: invalid_request"),
    "TOK-024": Requirement("RFC 6749 3.2", "unknown parameters: ignored"),
    "TOK-027": Requirement("RFC 6749 3.3", "wider scope: never granted"),
    "TOK-028": Requirement("guide 100 kB", "150 kB and 5 MB form, 200 000 fields: 413 or 400, quickly"),
    "TOK-029": Requirement("OAuth 2.1 App. B", "bad percent-encoding and bad UTF-8: 4xx, never 5xx"),
    "TOK-031": Requirement("RFC 9068 2", "access tokens: unique; JWT: iss aud exp iat jti sub client_id, typ at+jwt (S)"),
    "TOK-032": Requirement("RFC 6749 5.1", "expires_in: positive integer that fits exp"),
    "TOK-033": Requirement("RFC 9700 2.3; ASVS 10.3.1", "the refresh token as bearer: 401"),
    "TOK-037": Requirement("OAuth 2.1 4.2", "client_credentials (if supported): confidential only, no refresh token"),
    "TOK-038": Requirement("RFC 6749 5.2", "status of invalid_grant: 400, not 401"),
    # Device authorization grant
    "DEV-001": Requirement(
        "RFC 8628 3.2",
        "device authorization request: 200 device_code, user_code, verification_uri, verification_uri_complete, expires_in, interval; no-store"),
    "DEV-002": Requirement(
        "RFC 8628 5.2, 6.1", "fifty requests: distinct codes; device codes of 256 bits, user codes of 34 bits without vowels and digits"),
    "DEV-003": Requirement(
        "RFC 8628 3.1; RFC 6749 3.2.1", "a confidential client without, or with a wrong, proof: 401 invalid_client; by each method: 200"),
    "DEV-004": Requirement("RFC 6749 5.2", "a client that did not register for the grant: unauthorized_client at both endpoints"),
    "DEV-005": Requirement("RFC 8628 3.1; RFC 8707 2", "foreign scope or resource: invalid_scope, invalid_target; no scope: the registered one"),
    "DEV-006": Requirement("RFC 8628 3.1; RFC 6749 3.2", "other methods, content types, broken, repeated and query parameters: 4xx in JSON"),
    "DEV-007": Requirement("RFC 8628 4", "metadata: device_authorization_endpoint and the grant type if, and only if, they are served"),
    "DEV-008": Requirement("RFC 7591 2", "registration for the grant alone: 201 without redirect URIs and response types"),
    "DEV-009": Requirement(
        "own policy; RFC 8628 5.4", "registration for the grant by anybody, or with a token for one instance: left out, or refused"),
    "DEV-010": Requirement("RFC 8628 3.5", "polls before, after refusal, after expiry: authorization_pending, access_denied, expired_token"),
    "DEV-011": Requirement("RFC 8628 3.5", "polls that come too early: slow_down, and five seconds more from then on"),
    "DEV-012": Requirement("RFC 8628 3.4; RFC 6749 5.1", "a poll after approval: the tokens of a code exchange, for the person who approved"),
    "DEV-013": Requirement("own policy; OAuth 2.1 7.5.3", "the device code again: invalid_grant, and what it gave is revoked"),
    "DEV-014": Requirement("RFC 8628 3.4; RFC 6749 5.2", "another client's poll, at any time: invalid_grant, and nothing changes"),
    "DEV-015": Requirement(
        "RFC 6749 5.2",
        "a device code unknown, changed, cut, longer, NUL, 50 kB, absent, empty; the user code: invalid_grant or invalid_request"),
    "DEV-016": Requirement("own policy", "approved, then person disabled, grant or client revoked, client removed: no tokens"),
    "DEV-017": Requirement("own policy", "24 polls of an approved code at once, over workers: exactly one gets tokens"),
    "DEV-018": Requirement("own policy", "polls in their time for as long as a code lasts: never 429; others count as any request"),
    "DEV-020": Requirement("RFC 8628 3.3, 6.1", "the code typed in small letters, with blanks, without the dash: the same page"),
    "DEV-021": Requirement(
        "RFC 8628 3.3.1, 5.4",
        "the link with the code, signed in or not: the code is shown, and nothing is looked up or approved without a click"),
    "DEV-022": Requirement(
        "RFC 8628 5.3, 5.4", "the page that asks: the code, the client, the scopes in words, from where and when it was asked, a warning"),
    "DEV-023": Requirement("RFC 8628 5.1", "wrong, expired, answered codes: one text for all; guesses are limited per person and per address"),
    "DEV-024": Requirement("MCP BP consent CSRF; CWE-472", "the forms from another browser, site, person, without or with changed fields: refused"),
    "DEV-025": Requirement("own policy", "one code answered twice, by one person or two: the first answer counts"),
    "DEV-026": Requirement("RFC 8628 5.1; ASVS 16.2.5", "both codes: never in a log line, a file or Redis"),
    "DEV-027": Requirement("guide; ASVS 16.3", "issued, approved, refused, tokens, too fast, wrong codes, too many of them, replay: audited"),
    # Client authentication
    "CLI-001": Requirement("RFC 6749 5.2", "wrong secret: other, changed, cut, longer, case, blank, empty: 401 invalid_client"),
    "CLI-003": Requirement("RFC 6749 5.2; CWE-204", "unknown client (S: looks like a wrong secret): 401 invalid_client"),
    "CLI-004": Requirement("RFC 6749 5.2", "failed Basic: 401 + WWW-Authenticate: Basic"),
    "CLI-005": Requirement("RFC 6749 2.3", "Basic and body secret together: invalid_request"),
    "CLI-007": Requirement(
        "contract: client authentication",
        "another secret method than the registered one: accepted: ServiceNow lets an admin choose header or body"),
    "CLI-009": Requirement("workers 0.9.0", "malformed Basic (ten kinds), Bearer, Digest: 400/401, never 5xx"),
    "CLI-010": Requirement("RFC 9110 11.1", '"basic" in lower case: accepted'),
    "CLI-015": Requirement("OAuth 2.1 7.5.3", "failed authentication: code not used up"),
    "CLI-016": Requirement("RFC 7523 3.2; Authlib 1.8", "junk client_assertion: 400/401"),
    "CLI-017": Requirement("RFC 7591 2", "public client that sends a secret: refused or ignored"),
    # Refresh
    "REF-001": Requirement("RFC 6749 6; guide", "refresh: 200, another access token; rotates (P)"),
    "REF-002": Requirement("guide check list", "the old refresh token: invalid_grant"),
    "REF-003": Requirement("OAuth 2.1 4.3.1; ASVS 10.4.5", "the old refresh token (after any grace): whole family dead, access tokens too"),
    "REF-005": Requirement("RFC 6749 6", "without, or with wrong client authentication: 401 invalid_client; not used up"),
    "REF-006": Requirement("RFC 6749 6", "wider scope: invalid_scope"),
    "REF-007": Requirement("OAuth 2.1 4.3.3", "narrower scope, then refresh without scope: narrowed access; refresh scope unchanged"),
    "REF-009": Requirement("RFC 6749 6", "an access token as refresh token: invalid_grant"),
    "REF-010": Requirement("RFC 6749 5.2", "changed, cut, longer, empty, 60 kB, NUL, alg none: invalid_grant or invalid_request"),
    "REF-011": Requirement("Keycloak CVE-2026-1035; OAuch MultiFastRefresh", "16 refreshes of one token at once: at most one wins"),
    "REF-013": Requirement("Keycloak #50999", "two rotations within a second: both old tokens dead (no second-granular clock in the check)"),
    "REF-014": Requirement("Keycloak CVE-2026-9802", "rotated token after a restart: still dead"),
    "REF-015": Requirement("ASVS 10.4.8", "refresh for longer than REFRESH_TOKEN_LIFETIME: absolute end"),
    "REF-018": Requirement("MCP token theft; OAuth 2.1 4.3.1", "public client: rotates"),
    "REF-019": Requirement("OAuth 2.1 7.5.3 by analogy", "reuse by someone who cannot authenticate as the client: ends nothing"),
    "REF-020": Requirement(
        "Hydra graceful rotation; Auth0, Okta, Cognito, dex reuseInterval",
        "same refresh twice at once with a grace period: the client goes on working"),
    # Revocation and introspection
    "REV-002": Requirement("RFC 7009 2", "revoke a refresh token: 200; invalid_grant"),
    "REV-003": Requirement("RFC 7009 2.1", "revoke a refresh token: its access tokens die too"),
    "REV-004": Requirement("RFC 7009 2.2", "unknown, malformed, 20 kB token: 200"),
    "REV-006": Requirement("RFC 7009 2.1; ASVS 10.4.10", "no or wrong client authentication: 401 invalid_client"),
    "REV-007": Requirement("RFC 7009 2.1", "no token: 400 invalid_request"),
    "REV-008": Requirement("RFC 7009 2.1", "wrong or empty hint: revoked all the same"),
    "REV-010": Requirement("RFC 7009 2.1", "GET: 405, nothing revoked"),
    "REV-011": Requirement("own analysis: jti denylists", "JWT with the victim's jti and a bad signature: nothing revoked"),
    "REV-012": Requirement("RFC 7009 2.2", "twice: 200"),
    "REV-014": Requirement('guide "SHOULD persist"', "restart after revocation: still revoked"),
    "REV-015": Requirement("RFC 7009 2.1", "JSON body: 400"),
    # Bearer use
    "BRR-002": Requirement("RFC 6750 3.1", 'eleven garbage tokens: 401 error="invalid_token"'),
    "BRR-003": Requirement("OAuth 2.1 5.1; OAuch TokenAsQueryParameter", "?access_token=: 400/401"),
    "BRR-004": Requirement("OAuth 2.1 5.1.2", "access_token in a form body: 4xx"),
    "BRR-006": Requirement("RFC 6750 2.1", "Basic, Token, JWT, DPoP, bare, glued, NBSP: 400/401"),
    "BRR-007": Requirement("RFC 9110 5.3", "two Authorization headers, one good, one bad: 400/401"),
    "BRR-008": Requirement("RFC 6750 2.1", "junk before or behind the token: 400/401"),
    "BRR-010": Requirement("RFC 7515 5.2", "changed, cut, longer, reversed, stripped signature, two parts: 401"),
    "BRR-011": Requirement("RFC 8725 3.1", "alg none in six spellings, empty or old signature: 401"),
    "BRR-012": Requirement(
        "RFC 8725 3.1, 3.5; CVE-2026-48526",
        "signed with \"\", secret, the guide's example values, issuer, PEM, JWK, HS384/HS512: 401"),
    "BRR-014": Requirement("RFC 8725 3.10", "kid: path, /dev/null, SQL, NUL, 5 kB, shell, URL, int, object: 401"),
    "BRR-015": Requirement("RFC 7515 4.1.11; CVE-2026-32597", "crit with an unknown name: 401"),
    "BRR-017": Requirement("CVE-2025-61920", "tokens of 7 kB to 900 kB, in header or signature part: 400/401/431 within 3 s"),
    "BRR-019": Requirement("RFC 7515 2", "padding, + and /, spare bits: 401 (one spelling per token)"),
    "BRR-020": Requirement("RFC 7009 2", "revoked token: 401 invalid_token"),
    "BRR-021": Requirement("RFC 6750 3.1; MCP", "too little scope: 403 insufficient_scope with scope and resource_metadata"),
    "BRR-023": Requirement("ASVS 10.3.3", "token of a deleted client or user: 401"),
    "BRR-024": Requirement("OAuth 2.1 5.1", "token in Cookie, X-Access-Token, Proxy-Authorization and so on: 401"),
    "BRR-025": Requirement(
        'MCP BP "verify all inbound requests"',
        "every MCP method, batches, notifications, broken bodies without a token: 401 (400/404), never a result"),
    "BRR-029": Requirement("RFC 9700 4.13", "X-Forwarded-User, Cf-Access-*, X-Original-URL, X-HTTP-Method-Override: 401"),
    # Metadata
    "MET-001": Requirement("RFC 8414 2; MCP", "RFC 8414 document: required members; S256 only; no password, implicit, token"),
    "MET-002": Requirement("RFC 9728 3; MCP", "RFC 9728 document, path-aware and root: resource, authorization_servers contains the issuer"),
    "MET-004": Requirement("RFC 8414 3.3", "issuer: identical to what the URL was built from"),
    "MET-005": Requirement("MCP 2026-07-28", "PRM scopes: no offline_access"),
    "MET-006": Requirement("host header poisoning; CVE-2026-48710", "Host, X-Forwarded-Host, Forwarded, X-Forwarded-Prefix: never in the metadata"),
    "MET-008": Requirement("RFC 8414 2; workers 0.9.1", "every *_endpoint: exists"),
    "MET-010": Requirement("RFC 8414 3", "POST, PUT, DELETE: 405"),
    "MET-013": Requirement("guide", "GET /health: 200 JSON status; no secrets, addresses, paths"),
    "MET-014": Requirement("RFC 8414 3.2", "content type: application/json"),
    "MET-015": Requirement("RFC 8414 2", "method given at registration: is among the advertised"),
    # MCP protocol
    "MCP-003": Requirement("MCP tools", "tools/list: name and object inputSchema; steady order (S)"),
    "MCP-004": Requirement("MCP tools", "tools/call: content array"),
    "MCP-005": Requirement("MCP tools", "unknown, dunder, path, NUL, case, 5 kB, homoglyph tool names: -32602 or isError"),
    "MCP-007": Requirement("JSON-RPC 4.2", "params array, string, number; name or arguments of wrong type: -32602 (-32600)"),
    "MCP-008": Requirement("JSON-RPC 4", "jsonrpc 1.0, 2, 2.0 (number), absent: -32600"),
    "MCP-009": Requirement("JSON-RPC 5", 'ids 0, -1, 2^53, "", Unicode, "1": same value and type back'),
    "MCP-011": Requirement("MCP transports", "notification: 202 without body; never a result, whatever it names"),
    "MCP-012": Requirement("JSON-RPC 5.1", "broken JSON (S: exactly 400 and -32700): -32700 or 400"),
    "MCP-013": Requirement("MCP 2025-06-18 changelog", "batch: refused since 2025-06-18"),
    "MCP-015": Requirement("JSON-RPC 4", '[], {}, null, 1, "x", [[]]: -32600'),
    "MCP-016": Requirement("MCP 2025-11-25 transports; CVE-2025-66414/66416", "foreign Origin, null, file:, look-alikes: 403"),
    "MCP-017": Requirement("MCP transports", "allowed Origin: served"),
    "MCP-020": Requirement("MCP transports", "unknown MCP-Protocol-Version (absent: served): 400"),
    "MCP-021": Requirement("MCP transports", "GET: stream or 405; other methods without a token: 401/405"),
    "MCP-022": Requirement("MCP transports", "DELETE: 405/404/204, with auth"),
    "MCP-024": Requirement("cross-site simple requests", "text/plain, form, multipart, none: 400/415"),
    "MCP-025": Requirement("CVE-2026-52869; CVE-2025-6515; MCP BP", "session id without token; of another principal; invented: 401; 4xx; no 5xx"),
    "MCP-026": Requirement("MCP transports; CVE-2025-6515", "session ids (if any): 128 bits, visible ASCII"),
    "MCP-028": Requirement("MCP lifecycle", "initialize with unknown versions: a supported version, or an error"),
    "MCP-029": Requirement("MCP transports", "a response from the client: 202 or 4xx"),
    "MCP-030": Requirement("MCP pagination", "junk cursor: -32602 or ignored"),
    "MCP-032": Requirement("ASVS 13.4", "initialize answer: no secrets, no stack versions"),
    "MCP-033": Requirement("OWASP API4", "10 000 unauthenticated initialize: rate-limited"),
    # The stateless revision
    "HDR-001": Requirement("SEP-2575", "server/discover: supportedVersions"),
    "HDR-003": Requirement("SEP-2243", "Mcp-Name differs: 400, -32020"),
    "HDR-004": Requirement("SEP-2243", "Mcp-Method or Mcp-Name missing: 400, -32020"),
    "HDR-005": Requirement("SEP-2575", "version header differs from _meta: 400, -32020"),
    "HDR-007": Requirement("RFC 9110 5.1", "header names in odd case: accepted"),
    "HDR-008": Requirement("MCP base", "_meta fields missing: 400, -32602"),
    "HDR-009": Requirement("MCP transports", "unknown method: 404, -32601"),
    "HDR-011": Requirement("SEP-2243", "Mcp-Param-* differs from the argument: 400, -32020"),
    "HDR-012": Requirement("SEP-2322, SEP-2549", "results: resultType; lists: ttlMs, cacheScope"),
    "HDR-013": Requirement("versioning", "legacy request: still served"),
    "HDR-015": Requirement("SEP-2243 rationale", "Mcp-Method: initialize over a tools/list body without token: 401 (the body decides)"),
    # JSON
    "JSN-001": Requirement("guide 1 MB", "1.1 MB and 8 MB body: 413 (400), server goes on"),
    "JSN-002": Requirement("guide 1 MB", "0.9 MB argument: served"),
    "JSN-004": Requirement(
        "RecursionError; CVE-2025-53365 class",
        'nesting 500, 5 000, 100 000; 200 000 "[": 4xx or error, never 5xx, server goes on'),
    "JSN-005": Requirement("RFC 8259 6", "NaN, Infinity in; (M) out: refused; never written"),
    "JSN-006": Requirement("CVE-2026-27896 class", "duplicate method keys without a token; (S) duplicate ids: no bypass; last wins or refused"),
    "JSN-008": Requirement("RFC 8259 8.1", "invalid UTF-8, overlong, UTF-16/32, BOM: 4xx, never 5xx"),
    "JSN-010": Requirement("CPython int-str limit", "numbers of 400, 5 000, 900 000 digits: never 5xx, under 5 s"),
    "JSN-011": Requirement("RFC 8259 6", "1e400: not turned into Infinity on the way out"),
    "JSN-013": Requirement("CWE-1321", "__proto__, constructor, __class__, self, kwargs as keys: plain keys"),
    "JSN-014": Requirement("CVE-2026-27896", "Method, METHOD, ID, JSONRPC: not taken for the lower-case names"),
    "JSN-015": Requirement("CWE-409", "50 MB gzip bomb: 415/413/400"),
    "JSN-018": Requirement("found here: FastMCP quadratic", "80 000 keys: under 5 s"),
    "JSN-019": Requirement("Werkzeug get_data", "charset utf-16, utf-7, rot13, zlib, nonsense: never 5xx"),
    # Tools
    "TOOL-001": Requirement("SEP-1303", "missing arguments: isError or -32602"),
    "TOOL-003": Requirement("CWE-915", "unknown arguments, magic names: no break"),
    "TOOL-006": Requirement(
        "CWE-78; OWASP LLM05; 43 % of MCP CVEs",
        "shell, template, format, SQL, markup, SSE, CR LF payloads: data, echoed verbatim"),
    "TOOL-008": Requirement("RFC 8259", "tool output with control characters: valid JSON"),
    "TOOL-010": Requirement("CVE-2026-26118", "url, model, host, base_url arguments to the LLM tool: not taken as addresses"),
    "TOOL-011": Requirement("found here: FastMCP 400 kB", "2 000 unknown arguments: report under 60 kB"),
    "TOOL-012": Requirement(
        "OWASP LLM01, LLM06; MCP10", "prompt-injection text from the model: handed on as data; no tool is called by the server"),
    "TOOL-013": Requirement("issue: tool pack", "every structured result satisfies its output schema, and its text is the same JSON"),
    "TOOL-014": Requirement("OWASP LLM01", "ids in an answer come only from the candidates that were sent"),
    "TOOL-015": Requirement("OWASP LLM09", "figures, dates and record numbers that no source has are left out and named"),
    "TOOL-016": Requirement("OWASP LLM02", "redaction: nothing private reaches the model or the embedder, from any tool"),
    "TOOL-017": Requirement("OWASP LLM06", "per-client policy: a tool that is not a client's is to it one that is not there; models and limits hold"),
    "TOOL-018": Requirement("OWASP LLM01", "text that speaks to the model is flagged, and no such classification is certain"),
    # Knowledge
    "KNO-001": Requirement("issue: knowledge; OWASP LLM08", "what a reader may not read: not found by words, vectors or number, not counted"),
    "KNO-002": Requirement("issue: knowledge", "readers that were not told: nobody, until the operator maps them"),
    "KNO-003": Requirement("issue: knowledge", "a rebuild: swapped whole; searches see the old or the new index, never half of one"),
    "KNO-004": Requirement("issue: knowledge", "a build that is killed or fails: the index stays, and the next goes on where it ended"),
    "KNO-005": Requirement("issue: knowledge", "vectors of another model or size: refused with what to do; words answer"),
    "KNO-006": Requirement("OWASP LLM08; CWE-943", "FTS5 and SQL syntax in a question: words"),
    "KNO-007": Requirement("CWE-776; CWE-611", "entities in an XML export: refused at no cost"),
    "KNO-008": Requirement("issue: knowledge", "50 searches at once: other calls go on; who waits gives up at the deadline"),
    "KNO-009": Requirement("issue: knowledge", "the model away: words answer, and the answer says so"),
    # CORS
    "COR-001": Requirement("guide", "preflight from an allowed origin: exact origin, methods, headers, Vary: Origin"),
    "COR-002": Requirement("guide", "preflight from foreign origins: no allow header on protected endpoints"),
    "COR-003": Requirement("Fetch; guide", "any origin: never wildcard or reflection with credentials"),
    "COR-005": Requirement("browser-based apps BCP 6.3.2.1", "authorization endpoint: no CORS"),
    # HTTP
    "HTP-001": Requirement("RFC 9112 6.3", "Content-Length and Transfer-Encoding: 400, or one answer and close"),
    "HTP-002": Requirement("CVE-2024-1135; CVE-2024-6827", "xchunked, chunked twice, identity, VT, gzip: 400/501; no smuggled answer"),
    "HTP-004": Requirement("gunicorn #2832, PR 3721", "broken chunks: 400, not 500"),
    "HTP-005": Requirement("RFC 9112 5.1", "blank before colon, underscore, folded, NUL names: 400 or dropped"),
    "HTP-006": Requirement("gunicorn limits", "20 kB and 200 kB header, 600 headers: 431/400"),
    "HTP-009": Requirement("RFC 9112 3", "200 kB request line: 414/400"),
    "HTP-010": Requirement("RFC 9110 9.3.8", "FOO, TRACE, CONNECT, get: 405/501; TRACE echoes nothing"),
    "HTP-011": Requirement("RFC 9112", "TLS hello, h2 preface, HTTP/0.9, NUL, no Host: 400 or close"),
    "HTP-013": Requirement("CWE-93", "CR LF and // in the path: no injected header, no open redirect"),
    "HTP-015": Requirement("RFC 9112 9.3.2", "pipelined second request without token: 401"),
    "HTP-016": Requirement("guide data/ path; ASVS 13.4", "../, .env, .git, data file, /console, /docs, /metrics: nothing served"),
    "HTP-018": Requirement("CVE-2025-53366 class", "40 clients that hang up: server goes on"),
    "HTP-020": Requirement("ASVS 16.5.1", "unknown path with markup: short 404, nothing reflected"),
    # Rate limits
    "RL-001": Requirement("guide; RFC 6585", "past the limit: 429 + Retry-After, JSON"),
    "RL-002": Requirement(
        "RFC 9700 4.13; Cloudflare header docs",
        "new X-Forwarded-For, X-Real-IP, CF-Connecting-IP, True-Client-IP, Forwarded each time: still 429"),
    "RL-003": Requirement("Cloudflare header docs", "CF-Connecting-IP from the trusted peer (cloudflared on loopback): honoured; last XFF hop only"),
    "RL-004": Requirement("guide", "client A over its limit: client B is served"),
    "RL-005": Requirement("distributed counters", "a spent limit over all workers: every worker refuses"),
    "RL-006": Requirement("own policy", "Redis down: local limits, not none"),
    "RL-007": Requirement("own policy", "health and metadata: stay reachable"),
    "RL-008": Requirement("OWASP API4", "100 000 random keys: memory bounded (TTL, cap)"),
    "RL-009": Requirement("own policy", "IPv6 addresses of one /64: one key"),
    "RL-010": Requirement("guide", "/mcp past the limit: HTTP 429, JSON-RPC shaped body"),
    # Logs
    "LGG-001": Requirement("ASVS 16.2.5; guide", "every secret the run has seen: not in the logs (query strings included)"),
    "LGG-003": Requirement("CWE-117; ASVS 16.4.1", "CR LF, ANSI, JSON-breaking names, agents, paths: one event, one line"),
    "LGG-004": Requirement(
        "guide; ASVS 16.3",
        "register, authorize, token, refresh, reuse, revoke, 401: audit event with time, request id, client, address, outcome"),
    "LGG-005": Requirement("CWE-400", "1 MB User-Agent: truncated"),
    # Secrets and configuration
    "SEC-000": Requirement("guide", "good configuration: starts"),
    "SEC-002": Requirement(
        "guide; CWE-1392",
        "JWT_SECRET missing, short, 31, repeated, dictionary, the guide's examples, blanks: refuses to start: message names the variable, no "
        "value, no trace, non-zero exit"),
    "SEC-005": Requirement("guide", "DCR_AUTH_TOKEN likewise: refuses"),
    "SEC-007": Requirement("RFC 8414 2; guide", "production with http, schemeless, query, fragment issuer: refuses"),
    "SEC-008": Requirement("guide", "production, several workers, no shared store: refuses"),
    "SEC-009": Requirement("guide", "production with ALLOWED_ORIGINS=*: refuses"),
    "SEC-011": Requirement("ASVS 14.2", "modes of stored files (SQLite -wal and -shm too): 0600"),
    "SEC-012": Requirement("RFC 6819 5.1.4.1.3; guide", "grep the data folder for every secret seen: nothing: secrets and tokens are hashed"),
    "SEC-013": Requirement("guide", "start-up log: no secret, no length"),
    "SEC-015": Requirement("ASVS 13.3", ".env readable by others: warns or refuses"),
    # Errors, timing, SSRF
    "ERR-001": Requirement("ASVS 16.5.1", "the whole run: no trace, path, SQL, library name in any answer"),
    "ERR-002": Requirement("CVE-2025-53365/53366 class", "the whole run: no 5xx"),
    "ERR-004": Requirement("ASVS 16.5.1", "the whole run: no error echoes a secret"),
    "TIM-001": Requirement("CWE-208", "nearly right and all wrong registration tokens: same work"),
    "TIM-002": Requirement("CWE-208", "wrong secret and unknown client, wrong password and unknown name: same work"),
    "SSR-001": Requirement("RFC 9101 10.4; OAuch", "request and request_uri to a canary: no fetch"),
    "SSR-002": Requirement("OIDC Registration 5", "jwks_uri, logo_uri, sector_identifier_uri to a canary: no fetch at registration"),
    "SSR-003": Requirement("RFC 8725 3.10; Authlib CVE-2026-27962", "jku, x5u, jwk, iss in a token to a canary: 401, no fetch"),
    # Introspection and keys
    "INT-001": Requirement("RFC 7662 2.1", "introspection without authentication: 401"),
    "INT-003": Requirement("RFC 7662 2.2", 'unknown, tampered, revoked: exactly {"active": false}'),
    "INT-004": Requirement("RFC 7662 4; node-oidc-provider allowedPolicy", "another client's token: active false"),
    "INT-005": Requirement("RFC 7662 2.1", "introspection by GET: 405"),
    "MET-009": Requirement("RFC 7517", "JWKS: no private or symmetric parts"),
    # Signing in with a provider, and identity assertions
    "OID-001": Requirement(
        "OIDC Core 3.1.2; RFC 7636",
        "sign-in at a certified provider, with state, nonce and PKCE: signed in, consent, code, tokens"),
    "OID-002": Requirement("OIDC Core 3.1.3.7", "ID token with iss, aud, azp, exp, iat, nonce or sub wrong: nobody is signed in, a page says so"),
    "OID-003": Requirement(
        "OIDC Core 3.1.3.7; RFC 8725 3.1",
        "ID token with alg none, HS256 by the secret or the public key, a stranger's key: refused"),
    "OID-004": Requirement("RFC 9700 4.7; OIDC Core 3.1.2.7", "state replayed, of another browser, or none: refused, and the provider is not asked"),
    "OID-005": Requirement("RFC 9207 2.4; RFC 9700 4.4", "iss of another provider in the answer: not acted upon (mix-up)"),
    "OID-006": Requirement("OIDC Core 5.7", "account linked by issuer and sub; the same name or address is another person"),
    "OID-007": Requirement("OIDC Discovery 4.3", "discovery under another name, redirecting, huge, slow or wrong: a page, nothing kept"),
    "OID-008": Requirement("OIDC Core 3.1.2.1", "prompt=login: the provider must show that the person gave proof anew"),
    "JAG-001": Requirement(
        "ID-JAG draft; MCP enterprise-managed authorization",
        "a good assertion: a token for that person and client, no refresh token"),
    "JAG-002": Requirement(
        "ID-JAG draft; MCP enterprise-managed authorization",
        "an assertion with one thing wrong: invalid_grant; it is not used up"),
    "JAG-003": Requirement("ID-JAG draft; RFC 7523 3", "the same jti again, also at another worker: invalid_grant"),
    "JAG-004": Requirement("RFC 8414 2; ID-JAG draft", "grant type and profile are advertised exactly when they are served"),
    # What people and operators end
    "PPL-001": Requirement(
        "ASVS 6.3.1; OWASP device cookies",
        "guessing at one account: ends, also with the right password; the owner goes on in a browser that is known"),
    "PPL-002": Requirement(
        "ASVS 6.3.8",
        "past the limit a known name, a disabled one and nobody: refused alike, and no password is looked at"),
    "PPL-003": Requirement(
        "ASVS 10.7.3",
        "a person withdraws an approval: its tokens end on every worker, and the application has to ask again"),
    "PPL-004": Requirement(
        "ASVS 10.7.3; CWE-639",
        "another person's approval: 404, and nothing ends"),
    "REF-021": Requirement(
        "ASVS 10.4.8",
        "a refresh token that was not used for REFRESH_TOKEN_IDLE_LIFETIME: dead, and its grant is not listed"),
    "REV-016": Requirement(
        "own policy",
        "kill switch of a grant, client, person, instance, or all: ends these and nothing else"),
    # Faults
    "F01": Requirement("faults", "Redis killed: the ledger answers for it, at once after three failures; it heals by itself"),
    "F02": Requirement("faults", "Redis hangs: an outage soon, and then at once"),
    "F04": Requirement("faults", "Redis restarted with what it persisted: believed only when it was filled again"),
    "F05": Requirement("faults", "Redis wiped: FLUSHALL: revoked tokens stay dead: the durable copy is the truth; Redis is filled again"),
    "F08": Requirement("faults", "disk full: writes are 503, ready says read-only, nothing answered is lost; heals when there is room"),
    "F09": Requirement("faults", "file system remounted read-only: the same; heals after the remount"),
    "F12": Requirement("faults", "connection cut inside an answer: reads are asked once more, a redemption never"),
    "F13": Requirement("faults", 'garbage under our keys: an outage of the store, not "not revoked"'),
    "F14": Requirement("faults", "PostgreSQL stopped: what needs it is 503; it heals after the restart"),
    "F18": Requirement("faults", "default_transaction_read_only=on: writes are an outage, reads work"),
    "F22": Requirement("faults", "store corrupted: refuses to start, names the file, touches nothing, no traceback"),
    "F23": Requirement("faults", "a SQLite file damaged, deleted or replaced under the server: an outage; a whole one in its place is taken"),
    "F25": Requirement("faults", "SQLite held by another writer: readers go on, writers give up soon"),
    "F28": Requirement("faults", "a worker kill -9: replaced"),
    "F29": Requirement("faults", "SIGTERM with a model call in flight: it is answered, new connections are refused, exit 0"),
    "F32": Requirement("faults", "SIGHUP with a broken configuration: the old workers keep serving; one clear log line"),
    "F33": Requirement("faults", "master kill -9: the workers leave, the port is free"),
    "F36": Requirement("faults", "second start on the same port: stops with a message"),
    "F38": Requirement("faults", "model server down: told at once, with the setting to change"),
    "F40": Requirement("faults", "slow model: concurrency capped, who gets no slot in time is told"),
    "F41": Requirement("faults", "garbage, HTML 502, 500 with paths, wrong JSON, closed connection from the model: an error in our words"),
    "F42": Requirement("faults", "a stream that dies in the middle: isError, no half answer passed off as whole"),
    "F44": Requirement("faults", "NaN, 1e999, lone surrogates: valid JSON out"),
    "F46": Requirement("faults", "a text with orders in it: stays data"),
    "F49": Requirement("faults", "one code, fifty redemptions at once over four workers, three times: exactly one wins, never 5xx"),
    "F50": Requirement("faults", "one refresh token, fifty at once over four workers: exactly one wins without grace; one live branch with it"),
    "F61": Requirement("faults", "JWT_SECRET changed, the previous one named: what was made under it works until it ends, also while it is changed"),
    "F62": Requirement("faults", "a registered_clients.json of the guide's templates: every client can still log in"),
    # Recovery
    "REC-001": Requirement("recovery", "a backup of any back end restored into any other: clients, people, keys, grants as they were"),
    "REC-002": Requirement("recovery", "what was revoked here, in the backup or in the copy alone: stays revoked, and is not brought back"),
    "REC-003": Requirement("recovery", "a server that is not empty: replaced only with --replace, and saved before"),
    "REC-004": Requirement("recovery", "a backup of another JWT_SECRET: refused, and says what to set"),
    "REC-005": Requirement("recovery", "a restore that fails half way: everything as it was"),
    "REC-006": Requirement("recovery", "the drill of docs/recovery.md: executed as it stands; nobody approves again, what was revoked stays so"),
    # Tasks (2026-07-28, extension io.modelcontextprotocol/tasks)
    "TSK-001": Requirement("Tasks: creation", "a client that declares the extension: resultType task, flat; ttlMs and pollIntervalMs in whole ms"),
    "TSK-002": Requirement("Tasks: creation", "tasks/get right after the handle, before any work: found"),
    "TSK-003": Requirement("Tasks: capability negotiation", "no extension on this request: never a task; a tool that is always one: -32021"),
    "TSK-004": Requirement("Tasks: protocol errors", "tasks/get, update, cancel without the extension: -32021 with requiredCapabilities.extensions"),
    "TSK-005": Requirement("Tasks: security", "a task of another client or subject: -32602, as for an id that never was; nothing changes"),
    "TSK-006": Requirement("Tasks: polling", "tasks/get within ttlMs of the creation: found"),
    "TSK-007": Requirement("Tasks: execution errors", "a tool's error: completed with isError; a JSON-RPC error: failed with exactly that error"),
    "TSK-008": Requirement("Tasks: update", "answers in parts, stray and repeated keys: ignored or taken once; input_required until the last one"),
    "TSK-009": Requirement("Tasks: creation", "input before the task: input_required without taskId, then the task without requestState"),
    "TSK-010": Requirement("Tasks: cancellation", "always acknowledged; a cancelled task stays cancelled, and an ended one as it ended"),
    "TSK-011": Requirement("Tasks: notifications", "taskIds in a filter without the extension: -32021"),
    "TSK-012": Requirement("Tasks: 2026-07-28", "tasks/result, tasks/list: -32601"),
    # Installing and upgrading
    "OPS-001": Requirement(
        "operations", "install: twice is the same; what a half-finished run left is mended; a dry run tells each step and changes nothing"),
    "OPS-002": Requirement("operations", "upgrade under load: no request lost; the new main process is told to systemd"),
    "OPS-003": Requirement("operations", "upgrade to a version that does not become ready: the old one serves again by itself"),
    "OPS-004": Requirement("operations", "behind nginx as shipped: events are not held back, the caller is who nginx sees"),
    "OPS-005": Requirement("operations", "the connection guide has the form values word for word, and only error texts that the server says"),
    "OPS-006": Requirement(
        "operations", "a day of operation under load (rotations, reloads, kills, a restore, an upgrade): nothing that was answered is contradicted"),
    "OPS-007": Requirement("operations", "a reload takes changed, added and removed settings and secrets; a refused one takes none"),
}

LATER: dict[str, str] = {
    "TOK-011": "A wrong verifier leaves the code alone; a verifier has 256 bits, and the rate limit bounds the guesses.",
}
