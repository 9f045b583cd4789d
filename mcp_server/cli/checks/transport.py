"""The name, the certificate and the TLS of an address, before HTTP."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

from mcp_server.cli.checks.finding import Finding
from mcp_server.clock import Clock, moment

SECONDS = 5.0
SOON = 14 * 86400
HTTPS = 443
_MEANINGS = {
    "certificate has expired": ("It has expired.", "Renew it, and see why that did not happen by itself (systemctl list-timers)."),
    "certificate is not yet valid": ("It is not valid yet.", "Compare the clocks: one of the two machines is wrong."),
    "self-signed certificate": ("It is signed by itself.", "Use one of a public authority, such as Let's Encrypt or the tunnel's own."),
    "self-signed certificate in certificate chain": (
        "It is of an authority that is not known here.",
        "Use one of a public authority; or, for a private one, set SSL_CERT_FILE here and tell ServiceNow."),
    "unable to get local issuer certificate": (
        "Its chain is not whole, or its authority is not known.",
        "Let the server send the intermediate certificates too (fullchain.pem): browsers find them by themselves, ServiceNow does not."),
}


def transport(check: str, address: str, now: Clock) -> Iterator[Finding]:
    """Ends with a failure where nothing that is asked over this connection can succeed."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, parts.port or HTTPS, type=socket.SOCK_STREAM)}
    except OSError:
        yield Finding(check, "fail", f"The name {host} is unknown here.", "Check the spelling, and the DNS record at your provider.")
        return
    if not any(ipaddress.ip_address(found.partition("%")[0]).is_global for found in addresses):
        yield Finding("name", "warn", f"{host} is {', '.join(sorted(addresses))} here, an address inside: this is not what ServiceNow sees.",
                      "Run this from a machine outside your network too: flask doctor --url " + address)
    if parts.scheme != "https":
        yield Finding("certificate", "warn", f"{address} is not https: ServiceNow refuses it, and tokens travel readable.", "Give the address https.")
        return
    yield from _tls(host, parts.port or HTTPS, now)


def _tls(host: str, port: int, now: Clock) -> Iterator[Finding]:
    try:
        expires = _expiry(host, port)
    except ssl.SSLCertVerificationError as error:
        what, mend = _MEANINGS.get(error.verify_message, (error.verify_message, "Give the server a certificate for this name."))
        yield Finding("certificate", "fail", f"The certificate of {host} is refused. {what}", mend)
        return
    except ssl.SSLError as error:
        old = _old_version(host, port)
        why = f"it speaks {old} only" if old else error.reason
        yield Finding("TLS", "fail", f"{host} has no TLS that is accepted today: {why}.", "Let it speak TLS 1.2 and 1.3.")
        return
    except OSError:
        return  # the HTTP check says it better
    if expires < now() + SOON:
        yield Finding("certificate", "warn", f"The certificate of {host} ends at {moment(expires)}.", "Renew it: that did not happen by itself.")
    else:
        yield Finding("certificate", "ok", f"valid for {host} until {moment(expires)}")
    if old := _old_version(host, port):
        yield Finding("TLS", "warn", f"{host} still accepts {old}.", "Set the least version to TLS 1.2: at Cloudflare, SSL/TLS, Edge Certificates.")


def _expiry(host: str, port: int) -> float:
    with _connected(ssl.create_default_context(), host, port) as connection:
        told = connection.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(told["notAfter"])))


def _old_version(host: str, port: int) -> str | None:
    """The version that is agreed on when only TLS 1.0 and 1.1 are offered; None when that is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent over it
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    try:
        with _connected(context, host, port) as connection:
            return (connection.version() or "").replace("TLSv1.1", "TLS 1.1").replace("TLSv1", "TLS 1.0")
    except OSError:
        return None


def _connected(context: ssl.SSLContext, host: str, port: int) -> closing[ssl.SSLSocket]:
    plain = socket.create_connection((host, port), timeout=SECONDS)
    try:
        return closing(context.wrap_socket(plain, server_hostname=host))
    except BaseException:
        plain.close()
        raise
