"""`flask servicenow`: what the ServiceNow admin types, and a try-out without ServiceNow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from config import convert
from mcp_server.cli import simulation
from mcp_server.cli.browser import Http
from mcp_server.cli.client_metadata import instance_origin
from mcp_server.cli.command import FAILED, Group, services
from mcp_server.cli.output import as_json, plain, print_json, print_record
from mcp_server.cli.servicenow_client import STEPS, ServiceNowClient, Setup
from mcp_server.cli.simulation import Outcome
from mcp_server.cli.tools import pairs
from mcp_server.web import form_values

TITLES = {
    "dynamic_registration": "OAuth 2.1, ServiceNow registers itself (recommended)",
    "manual_registration": "OAuth 2.1, registered by hand",
    "api_key": "API key, without OAuth",
    "redirect_uris": "Redirect URIs, where a form or an allow-list asks for them",
}
SAMPLES = {
    "classify_incident": {
        "short_description": "VPN drops every ten minutes",
        "description": "Since this morning the VPN connection of our whole team drops every ten minutes. Nobody can work from home.",
    },
    "llm_generate": {"prompt": "Say hello in one sentence.", "max_tokens": "64"},
    "echo": {"message": "hello"},
}
WIDTH = max(len(title) for title, _ in STEPS)

servicenow = Group("servicenow", help="Connect a ServiceNow instance, and try the connection out.")


@servicenow.command("connect")
@click.option("--show-token", is_flag=True, help="Print the secrets that are typed into the form, too.")
@as_json
def connect(*, show_token: bool, as_json: bool) -> None:
    """Print what the ServiceNow admin types, field by field, for each way to connect."""
    forms = form_values.connect(services(), show_token=show_token)
    if as_json:
        print_json(forms)
        return
    for name, form in forms.items():
        click.echo(f"{click.style(TITLES[name], bold=True)}\n")
        print_record(form, as_json=False)
        click.echo("")


@servicenow.command("simulate")
@click.argument("url", required=False)
@click.option("--username", help="Who signs in. Default: a temporary user, where the server has the database of these settings.")
@click.option("--password", help="Their password; asked for when left out.")
@click.option("--tool", default="classify_incident", show_default=True, help="The tool to call.")
@click.option("--argument", "arguments", multiple=True, metavar="KEY=VALUE", help="An argument of the tool. May be repeated. Default: a sample.")
@click.option("--instance", metavar="URL", help="The instance to play. Default: the first of SERVICENOW_INSTANCE.")
@as_json
def simulate(*, url: str | None, username: str | None, password: str | None, tool: str, arguments: Sequence[str], instance: str | None,
             as_json: bool) -> None:
    """Play ServiceNow's client against a running server, from discovery to revocation.

    URL is the server's address or its MCP URL; default: the one of OAUTH_ISSUER. Registers a client and signs in; where the server has the
    database of these settings, both are removed again. Exit status 0 when every step passed.
    """
    built = services()
    setup = Setup(
        base=_base(url or built.settings.issuer), registration_token=built.settings.dcr_auth_token or None, instance=_instance(instance),
        tool=tool, arguments=pairs(arguments) or SAMPLES.get(tool, {}))
    password = simulation.ask_for_password(username, password)
    report = _Report(f"{setup.base}/mcp", as_json=as_json)
    http, remarks = Http(), report.remarks
    try:
        with simulation.someone_to_sign_in(username, password, remarks) as credentials:
            client = ServiceNowClient(setup, http, credentials, built.clock)
            client.remarks = remarks
            try:
                for outcome in simulation.outcomes(client):
                    report.add(outcome)
            finally:
                if left := simulation.remove_simulated_client(client):
                    remarks.append(left)
    finally:
        http.close()
    report.end()


class _Report:
    """Tells people each step as it ends, and scripts everything at the end."""

    def __init__(self, url: str, *, as_json: bool) -> None:
        self._url = url
        self._as_json = as_json
        self._outcomes: list[Outcome] = []
        self._told = 0
        self.remarks: list[str] = []
        if not as_json:
            click.echo(f"ServiceNow's client against {url}\n")

    def add(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        if self._as_json:
            return
        mark = click.style("ok  ", "green") if outcome.passed else click.style("FAIL", "red")
        measured = f"{outcome.status or '-':>3}  {outcome.milliseconds:6} ms"
        click.echo(f"{outcome.number:2}  {mark}  {measured}  {outcome.step.ljust(WIDTH)}  {plain(outcome.said)}")
        self._tell_remarks()

    def end(self) -> None:
        """The verdict, and the exit status that goes with it."""
        last = self._outcomes[-1]
        if self._as_json:
            print_json(self._all())
        else:
            self._tell_remarks()
            click.echo(f"\nAll {len(STEPS)} steps passed." if last.passed else f"\nStep {last.number} failed: {last.step}. {plain(last.said)}")
            if last.next_step:
                click.echo(f"-> {plain(last.next_step)}")
        if not last.passed:
            click.get_current_context().exit(FAILED)

    def _tell_remarks(self) -> None:
        for text in self.remarks[self._told:]:
            click.echo(f"    note  {plain(text)}")
        self._told = len(self.remarks)

    def _all(self) -> dict[str, Any]:
        last = self._outcomes[-1]
        return {
            "url": self._url, "passed": last.passed, "failed_step": None if last.passed else last.number, "next_step": last.next_step,
            "steps": [asdict(outcome) for outcome in self._outcomes], "notes": self.remarks,
        }


def _base(url: str) -> str:
    stripped = url.rstrip("/").removesuffix("/mcp")
    try:
        origin: str = convert.origin(stripped)
    except ValueError:
        raise click.BadParameter(f"{url} is no address of a server, such as http://localhost:8080/mcp.", param_hint="URL") from None
    return origin


def _instance(given: str | None) -> str | None:
    if given is not None:
        return instance_origin(given)
    configured = services().settings.servicenow_instances
    return configured[0] if configured else None
