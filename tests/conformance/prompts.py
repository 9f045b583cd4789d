"""The prompts that the conformance suite asks for."""

from __future__ import annotations

from mcp_server.mcp.completion import matching
from mcp_server.mcp.prompts import Prompt, PromptArgument, say
from tests.conformance.asking_tools import form
from tests.conformance.tools import IMAGE, embedded


class Simple(Prompt):
    name, description = "test_simple_prompt", "A prompt without arguments."

    def messages(self, _):
        return [say("user", "This is a simple prompt for testing.")]


class WithArguments(Prompt):
    name, description = "test_prompt_with_arguments", "A prompt with two arguments."
    arguments = (PromptArgument("arg1", "The first.", required=True), PromptArgument("arg2", "The second.", required=True))
    completes = True

    def messages(self, _, *, arg1, arg2):
        return [say("user", f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]

    def complete(self, _argument, typed, _given):
        return matching(("testing", "tested", "other"), typed)


class WithResource(Prompt):
    name, description = "test_prompt_with_embedded_resource", "A prompt with a resource in it."
    arguments = (PromptArgument("resourceUri", "Of the resource.", required=True),)

    def messages(self, _, *, resourceUri):  # noqa: N803 -- the suite's spelling
        resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [{"role": "user", "content": resource}, say("user", "Please process the embedded resource above.")]


class WithImage(Prompt):
    name, description = "test_prompt_with_image", "A prompt with an image in it."

    def messages(self, _):
        return [{"role": "user", "content": IMAGE}, say("user", "Please analyze the image above.")]


class Asks(Prompt):
    name, description = "test_input_required_result_prompt", "A prompt that asks the person before it is there."
    quick = False

    def messages(self, call):
        answer = call.ask("user_context", form("What context should the prompt use?", context="string"))
        return [say("user", f"Use this context: {answer.get('content')}")]


PROMPTS = (Simple(), WithArguments(), WithResource(), WithImage(), Asks())
