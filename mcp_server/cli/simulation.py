"""A run of ServiceNow's client against a server, step by step, and who signs in for it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from mcp_server.cli import explanations
from mcp_server.cli.browser import NotReached
from mcp_server.cli.command import by, record, services
from mcp_server.cli.explanations import StepFailed
from mcp_server.cli.servicenow_client import STEPS, Credentials, ServiceNowClient
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.credentials import new_id, new_secret
from mcp_server.oauth.models import User


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is of the step's last answer, `milliseconds` of all its requests together."""

    number: int
    step: str
    passed: bool
    status: int | None
    milliseconds: int
    said: str
    next_step: str = ""


def outcomes(client: ServiceNowClient) -> Iterator[Outcome]:
    """Each step's, to the first that fails."""
    for number, (title, act) in enumerate(STEPS, 1):
        client.exchanges.clear()
        next_step, passed = "", False
        try:
            said, passed = act(client), True
        except StepFailed as failed:
            said, next_step = str(failed), failed.next_step
        except NotReached as error:
            said, next_step = f"The server does not answer: {error}.", explanations.NOT_RUNNING
        seen = client.exchanges
        yield Outcome(number, title, passed, seen[-1].status if seen else None, round(sum(answer.seconds for answer in seen) * 1000), said, next_step)
        if not passed:
            return


@contextmanager
def someone_to_sign_in(username: str | None, password: str | None, remarks: list[str]) -> Iterator[Credentials]:
    """The person that was named; else a temporary user, made when it is needed, if the server has the registry of these settings."""
    made: list[User] = []

    def credentials(client_id: str) -> tuple[str, str]:
        if username is not None:
            return username, password or ""
        if not is_ours(client_id):
            raise StepFailed("Somebody must sign in.", explanations.NEEDS_SIGN_IN)
        user, typed = _temporary_user()
        made.append(user)
        remarks.append(f"Signed in as {user.username}, a temporary user that is removed at the end.")
        return user.username, typed

    try:
        yield credentials
    finally:
        for user in made:
            services().administration.remove_user(user, by())


def _temporary_user() -> tuple[User, str]:
    built, password = services(), new_secret()
    user = User(new_id(), f"simulator-{secrets.token_hex(4)}", built.passwords.hash(password), created_at=float(int(built.clock())))
    built.users.add(user)
    record("simulation_user_added", user_id=user.user_id, username=user.username)
    return user, password


def is_ours(client_id: str) -> bool:
    """Whether the server that registered this client has the registry of these settings."""
    try:
        return services().clients.find(client_id) is not None
    except StoreUnavailable:
        return False


def remove_simulated_client(client: ServiceNowClient) -> str | None:
    """Remove what was registered. Returns what is left to do when it is not ours to remove."""
    if client.client_id is None:
        return None
    found = services().clients.find(client.client_id) if is_ours(client.client_id) else None
    if found is None:
        return f"The client {client.client_id} stays registered there. On that machine: flask clients revoke {client.client_id}"
    services().administration.remove_client(found, by())
    return None


def ask_for_password(username: str | None, password: str | None) -> str | None:
    if username is not None and password is None:
        return str(click.prompt(f"Password of {username}", hide_input=True, err=True))
    return password
