"""The tools that the conformance suite's tasks-* scenarios call."""

from __future__ import annotations

import orjson
from marshmallow import Schema, validate

from mcp_server.concurrency import pause
from mcp_server.errors import InternalError, ToolError
from mcp_server.mcp.arguments import Number, Text
from mcp_server.mcp.asking import Elicitation
from mcp_server.mcp.tool import Tool

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CONFIRM = {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]}


class NoInput(Schema):
    pass


class GreetInput(Schema):
    name = Text(required=True)


class SlowComputeInput(Schema):
    seconds = Number(load_default=0.0, validate=validate.Range(0, 600))
    label = Text()


class ConfirmDeleteInput(Schema):
    filename = Text(required=True)


class Greet(Tool):
    name, title, description = "greet", "Greet", "Greets by name, at once."
    input_schema = GreetInput()
    quick = True

    def run(self, _, *, name):
        return f"Hello, {name}!"


class SlowCompute(Tool):
    name, title, description = "slow_compute", "Slow computation", "Takes as many seconds as it is told."
    input_schema = SlowComputeInput()
    as_task = "optional"

    def run(self, call, *, seconds, label=None):  # noqa: ARG002 - it tells calls apart for people
        done = 0.0
        while done < seconds:
            pause(min(0.1, seconds - done))
            done += 0.1
            call.progress(done, seconds)
        return f"Computed for {seconds:g} seconds."


class FailingJob(Tool):
    name, title, description = "failing_job", "Failing job", "Always fails, after a second."
    input_schema = NoInput()
    as_task = "required"

    def run(self, _):
        pause(1.0)
        raise ToolError("The job failed, as it always does.")


class ProtocolErrorJob(Tool):
    name, title, description = "protocol_error_job", "Protocol error job", "Ends with a JSON-RPC error."
    input_schema = NoInput()
    as_task = "optional"

    def run(self, _):
        pause(0.2)
        raise InternalError("The job broke, as it always does.")


class ConfirmDelete(Tool):
    name, title, description = "confirm_delete", "Delete after confirmation", "Asks whether a file should be deleted. Deletes nothing."
    input_schema = ConfirmDeleteInput()
    as_task = "optional"

    def run(self, call, *, filename):
        answer = call.ask("confirm", Elicitation(f"Delete {filename}?", CONFIRM))
        confirmed = answer["action"] == "accept" and answer["content"]["confirm"]
        return f"Deleted {filename}." if confirmed else f"Kept {filename}."


class MultiInput(Tool):
    name, title, description = "multi_input", "Two questions", "Asks two questions at once, and repeats what was answered."
    input_schema = NoInput()
    as_task = "optional"

    def run(self, call):
        answers = call.ask_all({"first": Elicitation("Your first answer?", CONFIRM), "second": Elicitation("Your second answer?", CONFIRM)})
        return orjson.dumps(answers).decode()


class ToolWithTask(Tool):
    name, title, description = "test_tool_with_task", "Name first, then a task", "Asks for a name, then greets it from a task."
    input_schema = NoInput()
    as_task = "required"

    def prepare(self, call):
        answer = call.ask("user_name", Elicitation("What is your name?", NAME))
        if answer["action"] != "accept":
            raise ToolError("A name is needed.")
        return {"user_name": answer["content"]["name"]}

    def run(self, _, *, user_name):
        return f"Hello, {user_name}, from a task!"


def task_tools():
    return (Greet(), SlowCompute(), FailingJob(), ProtocolErrorJob(), ConfirmDelete(), MultiInput(), ToolWithTask())
