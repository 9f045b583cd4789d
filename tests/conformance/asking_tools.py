"""The tools of the conformance suite that ask their client something: the same ones in both eras."""

from __future__ import annotations

import json

from marshmallow import Schema

from mcp_server.errors import ToolError
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.asking import Elicitation, ListRoots, Sampling
from tests.conformance.tools import Fixture


def form(message, **fields):
    """A form whose fields are all required."""
    return Elicitation(message, {"type": "object", "properties": {name: {"type": kind} for name, kind in fields.items()}, "required": list(fields)})


class Asks(Fixture):
    """Asks all its questions at once and shows the answers."""

    def __init__(self, name, intro="Answered: ", **questions):
        self.name, self._intro, self._questions = name, intro, questions

    def run(self, call):
        return self._intro + json.dumps(call.ask_all(self._questions))


class PromptInput(Schema):
    prompt = Text(required=True)


class AsksModel(Fixture):
    name = "test_sampling"
    input_schema = PromptInput()

    def run(self, call, *, prompt):
        return f"LLM response: {call.ask('response', Sampling(prompt, max_tokens=100))['content']['text']}"


class MessageInput(Schema):
    message = Text(required=True)


class AsksPerson(Fixture):
    name = "test_elicitation"
    input_schema = MessageInput()

    def run(self, call, *, message):
        answer = call.ask("user", form(message, username="string", email="string"))
        return f"User response: action={answer['action']}, content={json.dumps(answer.get('content'))}"


class Greets(Fixture):
    name = "test_input_required_result_elicitation"

    def run(self, call):
        answer = call.ask("user_name", form("What is your name?", name="string"))
        return f"Hello, {answer['content']['name']}!" if answer["action"] == "accept" else "Hello!"


class Confirms(Fixture):
    """What it was told arrives in a later request, with the state that is sealed for this call."""

    def __init__(self, name):
        self.name = name

    def run(self, call):
        call.ask("confirm", form("Please confirm", ok="boolean"))
        return "state-ok"


class AsksTwice(Fixture):
    name = "test_input_required_result_multi_round"

    def run(self, call):
        first = call.ask("step1", form("Step 1: What is your name?", name="string"))
        second = call.ask("step2", form("Step 2: What is your favorite color?", color="string"))
        return json.dumps([first, second])


class AsksWhatItCan(Fixture):
    name = "test_input_required_result_capabilities"

    def run(self, call):
        questions = {"sample": Sampling("Say hello", max_tokens=50), "user_name": form("What is your name?", name="string")}
        answerable = {key: question for key, question in questions.items() if call.can_ask(question.capability)}
        if not answerable:
            raise ToolError("This client cannot be asked anything.")
        return json.dumps(call.ask_all(answerable))


DEFAULTS = Elicitation("Please provide user information", {"type": "object", "required": [], "properties": {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}})

TITLED = [{"const": f"value{number}", "title": f"{title} Option"} for number, title in enumerate(("First", "Second", "Third"), start=1)]
OPTIONS = ["option1", "option2", "option3"]
ENUMS = Elicitation("Please choose", {"type": "object", "required": [], "properties": {
    "untitledSingle": {"type": "string", "enum": OPTIONS},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
}})

ASKING_TOOLS = (
    AsksModel(),
    AsksPerson(),
    Asks("test_streaming_elicitation", user=form("Say something", said="string")),
    Asks("test_missing_capability", sample=Sampling("Say hello", max_tokens=10)),
    Asks("test_elicitation_sep1034_defaults", "Elicitation completed: ", user=DEFAULTS),
    Asks("test_elicitation_sep1330_enums", "Elicitation completed: ", user=ENUMS),
    Greets(),
    Asks("test_input_required_result_sampling", "Model said: ", capital_question=Sampling("What is the capital of France?", max_tokens=100)),
    Asks("test_input_required_result_list_roots", "Roots: ", client_roots=ListRoots()),
    Asks(
        "test_input_required_result_multiple_inputs", user_name=form("What is your name?", name="string"),
        greeting=Sampling("Generate a greeting", max_tokens=50), client_roots=ListRoots()),
    Confirms("test_input_required_result_request_state"),
    Confirms("test_input_required_result_tampered_state"),
    AsksTwice(),
    AsksWhatItCan(),
)
