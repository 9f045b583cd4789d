"""`flask users`: the people who may sign in and approve."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from mcp_server.cli.command import Group, by, record, services
from mcp_server.cli.output import ONCE, as_json, plain, print_json, print_rows, remark
from mcp_server.clock import moment
from mcp_server.oauth.credentials import new_id, new_secret
from mcp_server.oauth.models import User
from mcp_server.web.sign_in_attempts import account_of, attempts

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 1000
LONGEST_NAME = 100

users = Group("users", help="Add, list, disable and remove the people who may sign in and approve applications.")
how_to_give_a_password = (
    click.option("--generate", is_flag=True, help="Make a password and print it, once."),
    click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line."),
)


def password_options(function: Any) -> Any:
    for option in reversed(how_to_give_a_password):
        function = option(function)
    return function


@users.command("add")
@click.argument("name")
@click.option("--operator", is_flag=True, help="The person operates this server.")
@password_options
@as_json
def add(name: str, *, operator: bool, generate: bool, password_stdin: bool, as_json: bool) -> None:
    """Add a person. Without an option the password is asked for, twice."""
    built, name = services(), _checked(name)
    if built.users.find(name) is not None:
        raise click.ClickException(f"There is a user {name!r} already. To set another password: flask users passwd {name}")
    password = _password(generate=generate, from_stdin=password_stdin)
    user = User(new_id(), name, built.passwords.hash(password), created_at=float(int(built.clock())), operator=operator)
    try:
        built.users.add(user)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    record("user_added", user_id=user.user_id, username=name, operator=operator)
    _show_with_password(user, password if generate else None, as_json=as_json)


@users.command("list")
@as_json
def list_users(*, as_json: bool) -> None:
    """Show who may sign in."""
    rows = [_shown(user) for user in services().users.all()]
    print_rows(rows, ("username", "operator", "disabled", "created_at", "provider"), as_json=as_json,
               none="There is nobody yet. Add a person: flask users add NAME")


@users.command("passwd")
@click.argument("name")
@password_options
@as_json
def passwd(name: str, *, generate: bool, password_stdin: bool, as_json: bool) -> None:
    """Set another password. What the person has approved stays approved."""
    built, user = services(), existing_user(name)
    if user.issuer is not None:
        raise click.ClickException(f"{user.username} signs in at {user.issuer} and has no password here.")
    password = _password(generate=generate, from_stdin=password_stdin)
    if not built.users.replace(replace(user, password_hash=built.passwords.hash(password))):
        raise click.ClickException(f"There is no user {name!r} any more.")
    record("user_password_set", user_id=user.user_id, username=user.username)
    _show_with_password(user, password if generate else None, as_json=as_json)


@users.command("operator")
@click.argument("name")
@click.option("--off", is_flag=True, help="Not any more.")
def operator(name: str, *, off: bool) -> None:
    """Make a person an operator, who may use the console at /operator."""
    user = existing_user(name)
    if not services().users.replace(replace(user, operator=not off)):
        raise _nobody(name)
    record("user_operator_ended" if off else "user_made_operator", user_id=user.user_id, username=user.username)
    remark(f"{plain(user.username)} is {'no operator any more' if off else 'an operator now'}.")


@users.command("unlock")
@click.argument("name")
def unlock(name: str) -> None:
    """Let a person sign in again at once, after too many wrong passwords were given for their name."""
    user = existing_user(name)
    attempts().unlock(account_of(user, user.username))
    record("user_unlocked", user_id=user.user_id, username=user.username)
    remark(f"{plain(user.username)} can sign in again: wrong passwords are counted from the beginning.")


@users.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, *, yes: bool) -> None:
    """Remove a person, and end all that they have approved. Who comes from a provider can come back as somebody new: see disable."""
    user = existing_user(name)
    if not yes:
        click.confirm(f"Remove {user.username}? Every application they approved stops working.", abort=True, err=True)
    services().administration.remove_user(user, by())
    remark(f"{plain(user.username)} is removed, and what they approved is revoked.")


@users.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Keep a person out, and end all that they have approved."""
    user = existing_user(name)
    if not services().administration.disable_user(user, by()):
        raise _nobody(name)
    remark(f"{plain(user.username)} cannot sign in any more, and what they approved is revoked. To let them in again: flask users enable NAME")


@users.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Let a disabled person sign in again. What they had approved they approve again."""
    user = existing_user(name)
    if not services().administration.enable_user(user, by()):
        raise _nobody(name)
    remark(f"{plain(user.username)} can sign in again.")


def _checked(name: str) -> str:
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= LONGEST_NAME:
        raise click.BadParameter(f"A name has 1 to {LONGEST_NAME} visible characters, and no blank at either end.", param_hint="NAME")
    return name


def existing_user(name: str) -> User:
    user = services().users.find(name)
    if user is None:
        raise _nobody(name)
    return user


def _nobody(name: str) -> click.ClickException:
    return click.ClickException(f"There is no user {name!r}. flask users list shows who there is.")


def _password(*, generate: bool, from_stdin: bool) -> str:
    if generate and from_stdin:
        raise click.UsageError("Give either --generate or --password-stdin.")
    if generate:
        return new_secret()
    if from_stdin:
        typed = sys.stdin.readline().rstrip("\r\n")
    else:
        typed = click.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
    if not LEAST_CHARACTERS <= len(typed) <= MOST_CHARACTERS:
        raise click.ClickException(f"A password has at least {LEAST_CHARACTERS} characters, at most {MOST_CHARACTERS}. --generate makes one.")
    return str(typed)


def _show_with_password(user: User, password: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json(_shown(user) | ({"password": password} if password else {}))
    elif password:
        click.echo(f"user      {plain(user.username)}{' (operator)' if user.operator else ''}\npassword  {password}   ({ONCE})")
    else:
        remark(f"The password of {plain(user.username)} is set.")


def _shown(user: User) -> dict[str, Any]:
    return {
        "username": user.username, "user_id": user.user_id, "operator": user.operator, "disabled": user.disabled,
        "created_at": moment(user.created_at), "provider": user.issuer or "",
    }
