"""Redirect URIs: which may be registered, and when a requested one is a registered one (OAuth 2.1 §2.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlencode, urlsplit

from mcp_server.errors import InvalidRedirectUri, Redirect

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_LOOPBACK_AND_PORT = re.compile(r"\A(http://(?:localhost|127\.0\.0\.1|\[::1\])):[0-9]{1,5}(?=[/?]|\Z)")
_PLAIN = re.compile(r"[!$%&'()+,\-./0-9:;=?@A-Z\[\]_a-z~]+")  # RFC 3986 without blanks, quotes, backslash, wildcard and fragment


def require_allowed(redirect_uri: str, allowed_hosts: Iterable[str]) -> None:
    """Raises InvalidRedirectUri in words that name the setting to change."""
    parts = _require_wellformed(redirect_uri)
    hostname = parts.hostname or ""
    if parts.scheme == "http" and hostname not in LOOPBACK:
        raise InvalidRedirectUri("A redirect URI must be https; http is for loopback only.", detail=redirect_uri[:200])
    if parts.scheme not in ("http", "https"):
        raise InvalidRedirectUri("A redirect URI must be an https URL. Clients with a scheme of their own are created by the operator.",
                                 detail=redirect_uri[:200])
    if hostname not in allowed_hosts and parts.netloc.lower() not in allowed_hosts:
        raise InvalidRedirectUri(
            f"The redirect host {hostname} is not allowed. Ask the operator of this server to add {hostname} to DCR_ALLOWED_REDIRECT_HOSTS.",
            detail=redirect_uri[:200])


def require_of_instance(redirect_uri: str, instance: str) -> None:
    """Only what goes to this ServiceNow instance, by https. Raises InvalidRedirectUri in words that say what to ask for."""
    parts = _require_wellformed(redirect_uri)
    if parts.scheme != "https" or parts.netloc.lower().removesuffix(":443") != urlsplit(instance).netloc.lower().removesuffix(":443"):
        raise InvalidRedirectUri(
            f"This registration is for {instance} only, and a redirect URI leads to {parts.scheme}://{parts.netloc}. Register with the redirect URIs "
            "of that instance, or ask the operator of this server for a registration token for yours: flask registration-tokens mint "
            "--instance URL.", detail=redirect_uri[:200])


def _require_wellformed(redirect_uri: str) -> SplitResult:
    """Checked as a string before any URL library may repair it."""
    problem = "A redirect URI must be an absolute URL without fragment, user name, blanks or wildcards."
    if not _PLAIN.fullmatch(redirect_uri):
        raise InvalidRedirectUri(problem, detail="characters")
    try:
        parts = urlsplit(redirect_uri)
        _ = parts.port
    except ValueError:
        raise InvalidRedirectUri(problem, detail="not a URL") from None
    if not parts.scheme or not parts.hostname or not _HOST_AND_PORT.fullmatch(parts.netloc):
        raise InvalidRedirectUri(problem, detail="no host, or more than a host and a port")
    return parts


def matches(requested: str, registered: Iterable[str]) -> bool:
    """The same string; only the port of a loopback http URI may differ (RFC 8252 §7.3)."""
    return any(_but_for_the_port(requested) == _but_for_the_port(each) for each in registered)


def _but_for_the_port(redirect_uri: str) -> str:
    return _LOOPBACK_AND_PORT.sub(r"\1", redirect_uri)


def location(redirect: Redirect, issuer: str, **parameters: str) -> str:
    """Where the browser goes: the redirect URI with the response, `state` as it came, and `iss` (RFC 9207)."""
    query = list(parameters.items())
    if redirect.state is not None:
        query.append(("state", redirect.state))
    query.append(("iss", issuer))
    separator = "&" if "?" in redirect.redirect_uri else "?"
    return f"{redirect.redirect_uri}{separator}{urlencode(query)}"
