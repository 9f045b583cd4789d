"""What an answer means that is not the gateway's own: somebody between has answered, or has changed it."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from mcp_server.cli.browser import Answer, Http
from mcp_server.cli.checks.finding import Finding

REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
GATEWAY_AWAY = (502, 504, 521, 522, 523, 524, 530)
NOT_FOUND, TOO_MANY = 404, 429
SKIP_RULE = ("At Cloudflare, switch Bot Fight Mode and Block AI bots off, and add a WAF skip rule for /mcp, /oauth/*, /register and /.well-known/*. "
             "At another proxy, let these paths through without a challenge or a sign-in.")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def not_ours(check: str, answer: Answer, http: Http) -> Finding | None:
    """Why this answer cannot be the gateway's; None when it may be."""
    if answer.status in REDIRECTS:
        return _redirected(check, answer, http)
    return next((Finding(check, "fail", f"{answer.url} {said}", mend) for holds, said, mend in _explanations(answer) if holds), None)


def _explanations(answer: Answer) -> tuple[tuple[bool, str, str], ...]:
    """What it is if the condition holds, and what to do then. The first that holds counts."""
    status, ours = answer.status, "X-Request-ID" in answer.headers
    is_page = answer.headers.get("Content-Type", "").startswith("text/html") or answer.body.lstrip()[:1] == b"<"
    return (
        (status in GATEWAY_AWAY, f"answers {status}: a tunnel or proxy is there, and does not reach the gateway.",
         "Start the gateway (systemctl start mcp-server), and let the tunnel or proxy point to its HOST and PORT."),
        ("cf-mitigated" in answer.headers, f"answers {status} with a challenge of bot protection: ServiceNow cannot solve it.", SKIP_RULE),
        (is_page, f"answers {status} with an HTML page{_title(answer.text)} where JSON is due.", SKIP_RULE),
        (status == NOT_FOUND and not ours, "is not found, and the answer is not the gateway's.",
         "Let the tunnel or proxy pass every path on, unchanged, to the gateway's HOST and PORT."),
        (status == TOO_MANY and not ours, "answers 429, and not from the gateway: a limit of the proxy.",
         "Raise that limit: the gateway has its own."),
    )


def _redirected(check: str, answer: Answer, http: Http) -> Finding:
    seen, here = {answer.url}, answer
    for _ in range(MOST_REDIRECTS):
        target = urljoin(here.url, here.location)
        parts = urlsplit(target)
        if target in seen:
            return Finding(check, "fail", f"{answer.url} redirects in a circle.",
                           "The proxy speaks http to the gateway's side and redirects that to https: at Cloudflare, set SSL/TLS to Full (strict).")
        if (parts.scheme, parts.netloc) != urlsplit(here.url)[:2]:
            return _sent_away(check, answer, target)
        seen.add(target)
        here = http.get(target)
        if here.status not in REDIRECTS:
            return _sent_away(check, answer, target)
    return Finding(check, "fail", f"{answer.url} redirects more than {MOST_REDIRECTS} times.", "Let the proxy pass requests on, without redirects.")


def _sent_away(check: str, answer: Answer, target: str) -> Finding:
    parts = urlsplit(target)
    if parts.hostname and parts.hostname.endswith(".cloudflareaccess.com"):
        return Finding(check, "fail", f"{answer.url} is behind the sign-in of Cloudflare Access: a machine cannot pass it.",
                       "Take these paths out of the Access application (a bypass policy): the gateway signs people in itself.")
    return Finding(check, "fail", f"{answer.url} redirects to {parts.scheme}://{parts.netloc}{parts.path}: clients do not follow that with a token.",
                   "Give ServiceNow, and OAUTH_ISSUER, the address at the end of the redirect; or let the proxy pass requests on without one.")


def _title(html: str) -> str:
    found = _TITLE.search(html)
    return f" ({' '.join(found[1].split())[:80]})" if found else ""
