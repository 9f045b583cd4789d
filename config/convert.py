"""How the text of a setting becomes a value. A converter raises ValueError with the rest of a sentence: "must be …"."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

Converter = Callable[[str], Any]

EXAMPLE_SECRETS = (
    "your-", "your_", "<your", "<prod", "replace-", "replace_with", "change-this", "changeme", "change-me", "secret-here", "token-here", "key-here",
    "generated-jwt", "generated-dcr", "minimum-32", "dev-test", "example", "password", "-secret>", "-token>",
)
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
NEVER_SECONDS = 1000  # no timeout of ours is that long: a bare number above it was meant as milliseconds


def text(value: str) -> str:
    return value


def path(value: str) -> Path:
    return Path(value)


def integer(least: int, most: int) -> Converter:
    def convert(value: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}.")
        return int(value)

    return convert


def share(value: str) -> float:
    if not re.fullmatch(r"[01]|0?\.[0-9]{1,9}|1\.0{1,9}", value):
        raise ValueError("must be a share between 0 and 1, such as 0.1.")
    return float(value)


def seconds_or_milliseconds(least: float, most: float) -> Converter:
    """A number of seconds; above 1000 it must have been meant as milliseconds."""

    def convert(value: str) -> float:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s)?", value)
        if match:
            number = float(match[1])
            seconds = number / 1000 if match[2] == "ms" or (match[2] is None and number > NEVER_SECONDS) else number
            if least <= seconds <= most:
                return seconds
        raise ValueError(f"must be {least:g} to {most:g} seconds (a bare number above 1000 is read as milliseconds).")

    return convert


def one_of(*choices: str, fold: Callable[[str], str] = str.lower, **synonyms: str) -> Converter:
    def convert(value: str) -> str:
        folded = synonyms.get(fold(value), fold(value))
        if folded not in choices:
            raise ValueError(f"must be one of: {', '.join(choices)}.")
        return folded

    return convert


class CommaSeparated:
    """A tuple of converted parts. A class, so that an unset list can be told from an unset value."""

    def __init__(self, part: Converter) -> None:
        self._part = part

    def __call__(self, value: str) -> tuple[Any, ...]:
        return tuple(self._part(part.strip()) for part in value.split(",") if part.strip())


def comma_separated(part: Converter) -> Converter:
    return CommaSeparated(part)


def secret(least: int) -> Converter:
    """A secret long and varied enough to sign with. Never says what was given, nor how long it was."""

    def convert(value: str) -> str:
        lowered = value.lower()
        if any(example in lowered for example in EXAMPLE_SECRETS):
            raise ValueError("is an example value. Run `flask secrets generate` and use what it prints.")
        if len(value) < least:
            raise ValueError(f"must have at least {least} characters. Run `flask secrets generate` and use what it prints.")
        if len(set(value)) < min(10, least // 2) or not value.isprintable() or re.search(r"\s", value):
            raise ValueError("must be random and without blanks. Run `flask secrets generate` and use what it prints.")
        return value

    return convert


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL.") from None
    return parts


def origin(value: str) -> str:
    """An origin: scheme, host and port. A trailing slash is dropped, anything more is refused."""
    parts = _split(value)
    if value == "*":
        raise ValueError("must name each origin; * is never allowed.")
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment and "#" not in value and "?" not in value and parts.username is None
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare or not re.fullmatch(r"[!-~]+", value):
        raise ValueError("must be an absolute http or https URL without a path, such as https://mcp.example.com.")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def https_origin(value: str) -> str:
    found = origin(value)
    if not found.startswith("https://"):
        raise ValueError("must be an https URL, such as https://dev12345.service-now.com.")
    return found


def provider_issuer(value: str) -> str:
    """An OpenID provider's own name for itself: compared letter by letter, so nothing of it is changed. http on loopback alone."""
    parts = _split(value)
    plain = re.fullmatch(r"[!-~]+", value) and not re.search(r"[?#\\@]", value)
    if not plain or not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)):
        raise ValueError("must be the provider's issuer, an https URL such as https://login.example.com/realms/acme.")
    return value


def email_domain(value: str) -> str:
    """The part of an address after the @. `*` stands for everybody."""
    if value != "*" and not re.fullmatch(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value):
        raise ValueError("must list domains such as example.com, without an @; or * for everybody whom the provider lets in.")
    return value.lower()


def http_url(value: str) -> str:
    """Where a model server listens. Ollama's own OLLAMA_HOST may lack the scheme: host:port."""
    candidate = value if "://" in value else f"http://{value}"
    parts = _split(candidate)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https URL, such as http://127.0.0.1:11434.")
    return candidate.rstrip("/")


def keep_alive(value: str) -> int | str:
    """As Ollama reads it: a number of seconds, or a duration of Go. Negative: for ever."""
    if re.fullmatch(r"-?[0-9]{1,9}", value):
        return int(value)
    if re.fullmatch(r"-?([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h))+", value):
        return value
    raise ValueError("must be seconds, or a duration such as 30m or 24h; -1 is for ever.")


def host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?", value):
        raise ValueError("must list host names without scheme or path, such as dev12345.service-now.com.")
    return value.lower()


def domain(value: str) -> str:
    lowered, label = value.lower(), r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
    if not re.fullmatch(rf"\*|(?:\*\.)?(?:{label}\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?(?::[0-9]{{1,5}})?", lowered):
        raise ValueError("must list domains without scheme and path: app.example.com, *.example.com for all below it, or * for every public host.")
    return lowered


def network(value: str) -> str:
    """A network in CIDR form, or one address. `loopback` is understood too."""
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError("must list networks such as 127.0.0.0/8 or 10.1.2.3.") from None


def redis_url(value: str) -> str:
    if _split(value).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must be a redis://, rediss:// or unix:// URL.")
    return value


def redis_url_of(hostname: str, port: int, password: str | None, db: int) -> str:
    credentials = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{credentials}{hostname}:{port}/{db}"


def postgresql_url(value: str) -> str:
    found = database_url(value)
    if not found.startswith("postgresql+psycopg://"):
        raise ValueError("must start with postgresql+psycopg://.")
    return found


def database_url(value: str) -> str:
    scheme = value.split(":", 1)[0]
    if scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg:{value.split(':', 1)[1]}"
    if scheme not in ("sqlite", "postgresql+psycopg"):
        raise ValueError("must start with sqlite:/// or postgresql+psycopg://.")
    return value
