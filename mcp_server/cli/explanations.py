"""What an answer means for the person who set the server up, and what to do about it."""

from __future__ import annotations

import json
from http import HTTPStatus

from mcp_server.cli.browser import Answer, Page


class StepFailed(Exception):
    """A step did not end as it should. `next_step` says what to do."""

    def __init__(self, text: str, next_step: str = "") -> None:
        super().__init__(text)
        self.next_step = next_step


NOT_RUNNING = ("Start the server with bin/serve (or: systemctl start mcp-server) and try again; if it runs elsewhere, give its URL: "
               "flask servicenow simulate URL.")
REGISTRATION_OFF = ("Registration is switched off. Set DCR_MODE=token and reload the server (systemctl reload mcp-server); or register by hand: "
                    "flask clients create --name ServiceNow --servicenow https://INSTANCE.service-now.com.")
REGISTRATION_REFUSED = ("The server has another DCR_AUTH_TOKEN than these settings. Run this command in the server's folder and environment, "
                        "or reload the server if the value was changed since it started.")
WRONG_SIGN_IN = "Check the name and the password (flask users list, flask users passwd NAME)."
NEEDS_SIGN_IN = ("That server does not use the database of these settings, so no temporary user can be made for it: give --username, "
                 "and --password or type it when asked.")
TOOL_FAILED = ("If the text names an argument, give it with --argument KEY=VALUE; else run flask doctor: it says which model is missing. "
               "Everything before this step works.")
NO_REFRESH = "ServiceNow needs refresh tokens, or a person must approve again every hour: the client must have the grant refresh_token."
OTHER_ISSUER = "Set OAUTH_ISSUER to the address that ServiceNow calls, and reload the server."
STILL_OPEN = "Revocations do not arrive at the server: look at its log, and at REVOCATION_FAIL_MODE."
OPEN_INITIALIZE = "Set MCP_OPEN_INITIALIZE=auto: some clients break when initialize succeeds without a token."


def expect(answer: Answer, *statuses: int, otherwise: dict[int, str] | None = None) -> Answer:
    """The answer, if it has one of these statuses. Raises StepFailed with what the server says. `otherwise`: what to do, by status."""
    if answer.status in statuses:
        return answer
    raise StepFailed(f"{answer.url} answered {_status(answer.status)}{_said(answer)}", (otherwise or {}).get(answer.status) or _usual(answer))


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _said(answer: Answer) -> str:
    """The server's own words, whichever form they have."""
    body = answer.object()
    error = body.get("error")
    if isinstance(error, dict):
        return f": {error.get('message')}"
    if error:
        return f": {error}: {body['error_description']}" if "error_description" in body else f": {error}"
    if _is_page(answer):
        page = Page(answer.text)
        return f": {' '.join((page.alert or page.heading).split())}" if page.alert or page.heading else " with an HTML page"
    return ""


def _is_page(answer: Answer) -> bool:
    return answer.headers.get("Content-Type", "").startswith("text/html")


def _usual(answer: Answer) -> str:
    request_id = answer.headers.get("X-Request-ID")
    if request_id is None and _is_page(answer):
        return ("This page is not ours: a proxy stands before the server, or another program has the port. At Cloudflare, switch Bot Fight Mode off "
                "and skip the WAF for /mcp, /oauth/*, /register and /.well-known/*.")
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"Too many requests. Wait {answer.headers.get('Retry-After', 'some')} seconds, or raise RATE_LIMIT_OAUTH_MAX or RATE_LIMIT_MCP_MAX."
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return "Something that the server needs does not answer. Run flask doctor."
    if request_id:
        return f"Look for the request id {request_id} in the server's log."
    return "Is that address really this server's? The default is the one in OAUTH_ISSUER."


def classification(text: str) -> str:
    """A tool's answer in one line; of a classification, what was chosen and who chose it."""
    try:
        chosen = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:200]
    if not isinstance(chosen, dict) or "category" not in chosen:
        return " ".join(text.split())[:200]
    place = "/".join(str(chosen[name]) for name in ("category", "subcategory") if chosen.get(name))
    evaluation = " (the evaluation model: do not rely on it)" if chosen.get("back_end") == "embedded" else ""
    return (f"{place}, priority {chosen.get('priority')}, confidence {chosen.get('confidence')}; "
            f"answered by {chosen.get('model')} on {chosen.get('back_end')}{evaluation}")
