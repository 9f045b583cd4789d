"""llama.cpp's own server: its OpenAI routes, and what it tells beside them."""

from __future__ import annotations

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError, ModelUnavailable
from mcp_server.llm.http import StatusError
from mcp_server.llm.openai import OpenAI
from mcp_server.llm.ports import Answer, OnToken, Prompt
from mcp_server.llm.refusals import error_in

BACK_END = "llama-cpp"
HINT = "Ask the operator to check that llama.cpp's server is running and that LLAMA_CPP_URL is right."


class LlamaCpp(OpenAI):
    """One server of llama.cpp. It counts a prompt's tokens exactly, in its own template."""

    def __init__(
        self, url: str, *, default_model: str | None = None, api_key: str | None = None, connections: int = 4,
        back_end: str = BACK_END, hint: str = HINT, clock: Elapsed = elapsed,
    ) -> None:
        super().__init__(url, default_model=default_model, api_key=api_key, connections=connections, back_end=back_end, hint=hint, clock=clock)

    def tokens_in(self, prompt: Prompt, model: str, deadline: Deadline) -> int | None:
        """The exact number; None where this build cannot say, and will refuse by itself what does not fit."""
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        try:
            written = self._http.post("/apply-template", {"model": model, "messages": messages}, deadline).get("prompt")
            if not isinstance(written, str):
                return None
            asked = {"model": model, "content": written, "add_special": True, "parse_special": True}
            tokens = self._http.post("/tokenize", asked, deadline).get("tokens")
        except StatusError:
            return None
        return len(tokens) if isinstance(tokens, list) else None

    def _chat(self, prompt: Prompt, model: str, deadline: Deadline, on_token: OnToken | None) -> Answer:
        try:
            return super()._chat(prompt, model, deadline, on_token)
        except StatusError as error:
            if not _stumbled(error):
                raise
        return super()._chat(prompt, model, deadline, None)

    def _refusal(self, error: StatusError, model: str) -> ModelError:
        if error_in(error.body).get("message") == "Loading model":
            return ModelUnavailable("The model is still loading. Try again in about 10 seconds.")
        return super()._refusal(error, model)


def _stumbled(error: StatusError) -> bool:
    """Over its own output, such as half a UTF-8 sequence at the end: another try does better."""
    return "peg-native" in str(error_in(error.body).get("message"))
