"""JSON from an OpenID provider: a server that the operator configured, or that such a server named.

It may stand inside this network, so every address is good. All else holds as for strangers: certificates are verified, no
redirect is followed, no proxy setting is read, and time and size are bounded.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from functools import cached_property

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from mcp_server.concurrency import give_up_after
from mcp_server.deadline import Deadline
from mcp_server.errors import ProviderUnavailable
from mcp_server.oauth.identity.provider import Answer

from .safe_fetch import CONNECT_SECONDS, OK, SECONDS, Fetched, FetchFailed, max_age, read_body, too_slow

MOST_BYTES = 256 * 1024
_URL = re.compile(r"https?://[!-~]+")


class ProviderHttp:
    """`context` makes what verifies certificates: only a test gives another."""

    def __init__(self, context: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        self._make_context = context

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made at the first use, since reading the machine's certificates takes a while."""
        return self._make_context()

    def send(self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None) -> Answer:
        try:
            return self._send(method, url, headers, body, MOST_BYTES)[0]
        except FetchFailed as error:
            raise ProviderUnavailable("The sign-in provider does not answer as it should.", detail=str(error)) from error

    def __call__(self, url: str, most_bytes: int) -> Fetched:
        """The JSON object at `url`, as `SafeFetch` gets it. Raises FetchFailed."""
        answer, kept_for = self._send("GET", url, {"Accept": "application/json"}, None, most_bytes)
        if answer.status != OK:
            raise FetchFailed(f"status {answer.status}")
        if answer.document is None:
            raise FetchFailed("not a JSON object")
        return Fetched(answer.document, kept_for)

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: str | None, most_bytes: int) -> tuple[Answer, int | None]:
        deadline = Deadline.after(SECONDS)
        if not _URL.fullmatch(url):
            raise FetchFailed("not a URL")
        try:
            with give_up_after(deadline.left, too_slow), urllib3.PoolManager(ssl_context=self._context, cert_reqs="CERT_REQUIRED") as pool:
                response = pool.request(
                    method, url, body=body, redirect=False, retries=False, preload_content=False, decode_content=False,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=deadline.left),
                    headers={**headers, "Accept-Encoding": "identity", "User-Agent": "servicenow-mcp-gateway"})
                try:
                    return Answer(response.status, _document(read_body(response, most_bytes, deadline))), max_age(response)
                finally:
                    response.close()
        except (HTTPError, OSError, ValueError) as error:
            raise FetchFailed(f"{type(error).__name__}: {str(error)[:200]}") from error


def _document(body: bytes) -> dict[str, object] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
