"""ServiceNow's Table API, read only: pages of a table of one instance that the operator configured.

https alone, http on loopback; certificates verified; no redirect, no proxy setting, bounded time and size. An instance that has too much to do
is asked again, when it says so.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as TimedOut

from mcp_server.clock import Clock
from mcp_server.concurrency import pause
from mcp_server.errors import InstanceUnavailable, KnowledgeRefused
from mcp_server.knowledge.records import record_of
from mcp_server.knowledge.sync import Page

CONNECT_SECONDS, READ_SECONDS = 10.0, 90.0
MOST_BYTES = 64 * 1024 * 1024
TRIES = 6
LONGEST_WAIT = 120.0
TRY_AGAIN = (429, 500, 502, 503, 504)
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, OK, BAD_REQUEST = 401, 403, 404, 200, 400
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TOKEN_MARGIN = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """One of three: a bearer token, an OAuth client (client credentials), or a user with a password."""

    token: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.token or (self.client_id and self.client_secret) or (self.username and self.password))


class ServiceNowTables:
    """`context` makes what verifies certificates, and `wait` waits: only a test gives others. Raises ValueError for a URL that is not https."""

    def __init__(
        self, instance: str, account: Account, clock: Clock, *, context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        wait: Callable[[float], None] = pause,
    ) -> None:
        parts = urlsplit(instance)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("an instance is asked over https only")
        self.instance = instance.rstrip("/")
        self._account, self._clock, self._make_context, self._wait = account, clock, context, wait
        self._token: tuple[str, float] | None = None

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(maxsize=1, ssl_context=self._make_context(), cert_reqs="CERT_REQUIRED")

    def page(self, table: str, query: str, fields: Sequence[str], limit: int, offset: int) -> Page:
        asked = {
            "sysparm_query": query, "sysparm_fields": ",".join(fields), "sysparm_limit": limit, "sysparm_offset": offset,
            "sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"}
        headers, body = self._asked(table, f"{self.instance}/api/now/table/{table}?{urlencode(asked)}")
        rows = body.get("result")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InstanceUnavailable(f"{self.instance} answered for {table} with something that is not the Table API's.")
        count = headers.get("X-Total-Count", "")
        return Page([record_of(row) for row in rows], int(count) if re.fullmatch(r"[0-9]{1,12}", count) else None)

    def _asked(self, table: str, url: str) -> tuple[Mapping[str, str], dict[str, Any]]:
        for again in (True, False):
            status, headers, body = self._sent("GET", url, {"Authorization": self._authorization(), "Accept": "application/json"}, None)
            if status == UNAUTHORIZED and again and self._token is not None:
                self._token = None  # it may have ended before its time
                continue
            break
        if status == OK:
            return headers, self._document(body)
        raise KnowledgeRefused({
            UNAUTHORIZED: f"{self.instance} does not accept the account (401). Check SERVICENOW_SYNC_USERNAME and its password, client or token.",
            FORBIDDEN: f"The account may not read {table} on {self.instance} (403). Give it a role that may, such as the read role of that table.",
            NOT_FOUND: f"{self.instance} has no table {table}, or the account may not see it (404).",
            BAD_REQUEST: f"{self.instance} does not understand the question for {table} (400): {_reason(body)}",
        }.get(status, f"{self.instance} answered {status} for {table}. Is SERVICENOW_INSTANCE the address of the instance itself?"))

    def _authorization(self) -> str:
        account = self._account
        if account.token:
            return f"Bearer {account.token}"
        if account.client_id and account.client_secret:
            return f"Bearer {self._granted(account.client_id, account.client_secret)}"
        return "Basic " + base64.b64encode(f"{account.username}:{account.password}".encode()).decode()

    def _granted(self, client_id: str, client_secret: str) -> str:
        if self._token is not None and self._token[1] > self._clock():
            return self._token[0]
        form = urlencode({"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        status, _, body = self._sent("POST", f"{self.instance}/oauth_token.do", headers, form)
        document = self._document(body) if status == OK else {}
        if not isinstance(document.get("access_token"), str):
            raise KnowledgeRefused(
                f"{self.instance} gave no token for SERVICENOW_SYNC_CLIENT_ID ({status}). Its OAuth record must allow client credentials "
                "(glide.oauth.inbound.client.credential.grant_type.enabled) and name a user.")
        lifetime = document.get("expires_in")
        self._token = document["access_token"], self._clock() + (lifetime if isinstance(lifetime, int) else 1800) - TOKEN_MARGIN
        return self._token[0]

    def _sent(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> tuple[int, Mapping[str, str], bytes]:
        """Asked again while the instance is away or says that it has too much to do. Raises InstanceUnavailable."""
        problem = ""
        for number in range(TRIES):
            seconds = float(2**number)
            try:
                response = self._pool.request(
                    method, url, body=body, redirect=False, retries=False, preload_content=False,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                    headers={**headers, "User-Agent": "servicenow-mcp-gateway"})
                try:
                    content = _bounded(response)
                finally:
                    response.close()
                if response.status not in TRY_AGAIN:
                    return response.status, response.headers, content
                problem = f"it answered {response.status}"
                seconds = max(seconds, self._retry_after(response.headers.get("Retry-After", "")))
            except TimedOut:
                problem = "it did not answer in time"
            except (HTTPError, OSError) as error:
                problem = f"{type(error).__name__}"
                if isinstance(error.__context__, ssl.SSLError) or "SSL" in problem:
                    raise InstanceUnavailable(f"The certificate of {self.instance} cannot be verified.", detail=str(error)) from error
            if number < TRIES - 1:
                self._wait(min(seconds, LONGEST_WAIT))
        raise InstanceUnavailable(f"{self.instance} does not answer ({problem}, {TRIES} times). Run this again later: it goes on where it ended.")

    def _retry_after(self, text: str) -> float:
        if re.fullmatch(r"[0-9]{1,6}", text):
            return float(text)
        try:
            return parsedate_to_datetime(text).timestamp() - self._clock()
        except (ValueError, TypeError):
            return 0.0

    def _document(self, body: bytes) -> dict[str, Any]:
        """An instance that sleeps answers every question with a page."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise InstanceUnavailable(
                f"{self.instance} answers with a page instead of JSON. A developer instance may be asleep: sign in to it once, then run this again.")
        return document


def _bounded(response: urllib3.BaseHTTPResponse) -> bytes:
    parts, size = [], 0
    for part in response.stream(1 << 16):
        size += len(part)
        if size > MOST_BYTES:
            raise InstanceUnavailable(f"An answer is larger than {MOST_BYTES >> 20} MB.")
        parts.append(part)
    return b"".join(parts)


def _reason(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"]["message"])[:200]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no reason was given"
