from __future__ import annotations

import json
import re
import shutil

import pytest
from marshmallow import Schema

from config.settings import ConfigurationError
from mcp_server import command_line
from mcp_server.app import CONFIG, More
from mcp_server.llm.ports import Answer
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.asking import Elicitation, ListRoots, Sampling
from mcp_server.mcp.tool import Tool


def test_tools_are_listed_as_clients_see_them(run):
    assert {tool["name"] for tool in run("tools", "list", "--json").json} >= {"classify_incident", "echo"}
    assert "short_description, [description]" in run("tools", "list").out


def test_a_tool_is_called_without_a_server_and_prints_only_its_answer(run):
    assert run("tools", "call", "echo", "message=a=b").out == "a=b\n"


def test_values_are_strings_as_servicenow_sends_them(run):
    answered = run("tools", "call", "classify_incident", "short_description=VPN", "categories=network,email", "--json").json
    assert answered["structuredContent"]["category"] in {"network", "email", "unknown"}
    assert not answered["isError"]


def test_a_failing_tool_says_so_on_stderr_and_in_the_status(run):
    failed = run("tools", "call", "echo")
    assert (failed.status, failed.out) == (1, "")
    assert "message" in failed.err


def test_an_unknown_tool_is_an_error_in_words(run):
    failed = run("tools", "call", "nothing")
    assert failed.status == 1
    assert "Unknown tool" in failed.err


def test_an_argument_without_a_value_is_refused(run):
    assert run("tools", "call", "echo", "message").status == 2


@pytest.mark.parametrize("written", ["message=@letter.txt", "message=-"])
def test_a_value_is_read_from_a_file_or_from_stdin(run, tmp_path, written):
    (tmp_path / "letter.txt").write_text("two\nlines")
    assert run("tools", "call", "echo", written, input="two\nlines").out == "two\nlines\n"


def test_a_value_that_begins_with_an_at_sign_is_written_with_two(run):
    assert run("tools", "call", "echo", "message=@@home").out == "@home\n"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_told(run, tmp_path, content):
    if content:
        (tmp_path / "letter.txt").write_bytes(content)
    failed = run("tools", "call", "echo", "message=@letter.txt")
    assert failed.status == 2
    assert "letter.txt" in failed.err


class AsksInput(Schema):
    note = Text()


FORM = {"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string", "title": "Your name"}, "age": {"type": "integer", "default": 30}, "sure": {"type": "boolean"},
    "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"}, "days": {"type": "array", "items": {"enum": ["Mo", "Tu"]}}}}


class Asks(Tool):
    """Reports, logs, asks, and tells what it heard."""

    name, title, description = "asks", "Asks", "Asks the person."
    input_schema = AsksInput()

    def __init__(self, question):
        self.question = question

    def run(self, call, note=""):  # noqa: ARG002 whatever it is
        call.progress(1, 2, "Half of it")
        call.log("warning", "Look\x1b[2J")
        call.log("debug", "not wanted")
        return json.dumps(call.ask("q", self.question))


@pytest.fixture
def asks(machine):
    """asks(question, typed) → the outcome of a call that asks it."""
    return lambda question, typed, *more: machine.run(
        "tools", "call", "asks", *more, input=typed, app=machine.app(more=More(tools=[Asks(question)])))


def test_what_a_tool_reports_goes_to_stderr_and_only_its_answer_to_stdout(asks):
    called = asks(Elicitation("Go on?", {"type": "object", "properties": {}}), "y\n")
    assert json.loads(called.out) == {"action": "accept", "content": {}}
    assert "Half of it\nwarning: Look\ufffd[2J\n" in called.err
    assert "not wanted" not in called.err


def test_the_fields_of_a_form_are_asked_one_by_one_until_each_fits(asks):
    called = asks(Elicitation("Who are you?", FORM), "Ada\nold\n36\nmaybe\nyes\ngreen\n\nMo, Tu\n")
    assert json.loads(called.out) == {"action": "accept", "content": {"name": "Ada", "age": 36, "sure": True, "colour": "red", "days": ["Mo", "Tu"]}}
    assert "Who are you?\nYour name" in called.err
    assert "This must be of the type integer." in called.err
    assert "Choose among those in brackets." in called.err


def test_what_is_not_required_may_be_left_empty(asks):
    assert json.loads(asks(Elicitation("Who?", FORM), "Ada\n\n\n\n\n").out)["content"] == {"name": "Ada", "age": 30, "colour": "red"}


@pytest.mark.parametrize(("schema", "typed", "action"), [
    (FORM, "", "cancel"), ({"properties": {}}, "", "cancel"), ({"properties": {}}, "n\n", "decline")])
def test_the_end_of_the_input_cancels_and_no_declines(asks, schema, typed, action):
    assert json.loads(asks(Elicitation("Who?", schema), typed).out) == {"action": action}


@pytest.mark.parametrize("question", [ListRoots(), Sampling("x", 10)])
def test_what_nobody_at_a_terminal_can_answer_is_said_to_the_tool(asks, question):
    failed = asks(question, "")
    assert failed.status == 1
    assert question.capability in failed.err


def test_nothing_can_be_asked_when_stdin_was_a_value(asks):
    failed = asks(Elicitation("Who?", FORM), "Ada\n", "note=-")
    assert failed.status == 1
    assert "elicitation" in failed.err


# What an operator declares.

TOOL = """name: greet
title: Greet
description: Greets somebody in a friendly way.
inputs:
  who: {type: text, description: Whom to greet., required: true}
prompt: Greet {{ who }}
"""


@pytest.fixture
def config(tmp_path):
    shutil.copytree(CONFIG, tmp_path / "config")
    return tmp_path / "config"


def test_a_declared_tool_is_listed_with_its_file_and_can_be_called(machine, config):
    (config / "tools" / "greet.yaml").write_text(TOOL)
    app = machine.app(config=config)
    listed = machine.run("tools", "list", app=app)
    assert re.search(r"greet +Greet +tools:execute +who +\S+/tools/greet.yaml", listed.out)
    assert re.search(r"echo +Echo +tools:execute +message +-", listed.out)
    assert machine.run("tools", "call", "greet", "who=Ada", app=app).out.startswith("{")


def test_the_shipped_files_are_found_good(run):
    assert [(row["kind"], row["name"]) for row in run("tools", "lint", "--json").json] == [
        ("prompt", "handover_summary"), ("prompt", "reply_to_caller"), ("prompt", "triage_incident")]


def test_lint_tells_every_problem_of_a_folder_and_needs_no_settings(config):
    (config / "tools" / "greet.yaml").write_text(TOOL.replace("title", "titel"))
    (config / "prompts" / "more.yaml").write_text("messages: []\n")
    app = command_line.refused(ConfigurationError(["JWT_SECRET is missing."]))
    linted = app.test_cli_runner().invoke(args=["tools", "lint", "--config", str(config)])
    assert linted.exit_code == 1
    assert "greet.yaml line 2, titel: Unknown field." in linted.stderr
    assert "more.yaml line 1, messages: Length must be between 1 and 20." in linted.stderr
    assert linted.stdout == ""


def test_single_files_are_linted_wherever_they_are(run, config):
    example = config / "tools" / "examples" / "questions_for_caller.yaml"
    good = run("tools", "lint", str(example), str(config / "prompts" / "triage_incident.yaml"), "--json")
    assert [(row["kind"], row["name"]) for row in good.json] == [("tool", "questions_for_caller"), ("prompt", "triage_incident")]
    example.write_text(example.read_text().replace("questions_for_caller", "echo"))
    bad = run("tools", "lint", str(example), "--json")
    assert bad.status == 1
    assert "'echo' is taken by this server itself" in bad.json["problems"][0]


def test_a_bad_file_refuses_the_configuration_with_its_status(machine, config):
    (config / "tools" / "greet.yaml").write_text(TOOL.replace("title", "titel"))
    with pytest.raises(ConfigurationError) as caught:
        machine.app(config=config)
    assert "greet.yaml line 2, titel" in str(caught.value)


TRIED = """name: triage
title: Triage
description: Tells how bad an incident is.
inputs:
  incident: {type: text, description: The incident., required: true}
prompt: "{{ incident }}"
output:
  impact: {type: whole, description: The impact., min: 1, max: 3}
  reason: {type: text, description: Why., max_characters: 100}
examples:
  - {arguments: {incident: All is down}, answer: {impact: 2, reason: Another text is no matter}}
  - {arguments: {incident: My mouse}, answer: {impact: 3, reason: x}}
"""


@pytest.fixture
def triage(machine, config):
    """triage(*arguments, answer=…) → the outcome of `flask tools test` on a config with one tool that has examples."""
    (config / "tools" / "triage.yaml").write_text(TRIED)
    (config / "tools" / "greet.yaml").write_text(TOOL)

    def triage(*arguments, answer='{"impact": 2, "reason": "r"}'):
        app = machine.app(config=config)
        asked = []
        app.extensions["services"].model.answer = lambda prompt, *_: asked.append(prompt) or Answer(answer, "tiny", complete=True)
        outcome = machine.run("tools", "test", *arguments, app=app)
        outcome.asked = asked
        return outcome

    return triage


def test_the_examples_of_a_tool_are_asked_without_the_one_that_is_tested(triage):
    tried = triage("--json")
    assert [(row["tool"], row["example"], row["result"]) for row in tried.json] == [("triage", 1, "good"), ("triage", 2, "impact is 2, not 3")]
    assert tried.status == 1
    first, second = ("\n".join(message.content for message in prompt.messages) for prompt in tried.asked)
    assert first.count("All is down") == first.count("My mouse") == 1
    assert "Another text is no matter" not in first
    assert "Another text is no matter" in second


def test_an_answer_that_is_not_in_the_form_fails(triage):
    tried = triage("triage", answer="never JSON")
    assert tried.status == 1
    assert "cannot be used" in tried.out


def test_a_tool_that_is_not_declared_cannot_be_tested(triage):
    failed = triage("echo")
    assert failed.status == 2
    assert "Those that are: greet, triage." in failed.err


def test_tools_without_examples_are_nothing_to_test(triage):
    tried = triage("greet")
    assert tried.status == 0
    assert "No declared tool has an example. Add `examples` to its file." in tried.err


def test_lint_checks_what_clients_may_use_too(run, config):
    (config / "clients.yaml").write_text("default: {tools: [ecko]}\n")
    linted = run("tools", "lint", "--config", str(config))
    assert linted.status == 1
    assert "clients.yaml line 1, default.tools.0: there is no tool 'ecko'." in linted.err
