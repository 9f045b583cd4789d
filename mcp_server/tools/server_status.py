"""Whether the server and its model can work, for an agent that met an error and for the person behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields

from mcp_server import __version__
from mcp_server.deadline import Deadline
from mcp_server.llm.ports import ModelStatus
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool


class ServerStatusInput(Schema):
    """No arguments."""


class ServerStatusOutput(Schema):
    version = fields.String(required=True, metadata={"description": "Version of this server."})
    back_end = fields.String(required=True, metadata={"description": "What answers for the model: ollama, llama-cpp, openai or embedded."})
    model_available = fields.Boolean(required=True, metadata={"description": "Whether tools that need the model can work now."})
    model = fields.String(metadata={"description": "The model that is used when a call names none."})
    models = fields.List(fields.String(), required=True, metadata={"description": "Values that the argument `model` of other tools may have."})
    problem = fields.String(metadata={"description": "What is wrong, and what to do about it."})
    note = fields.String(metadata={"description": "What a reader should know, such as that this is an evaluation model."})
    running = fields.Integer(metadata={"description": "Model calls that run now in this worker."})
    waiting = fields.Integer(metadata={"description": "Model calls that wait for a slot in this worker."})
    cache_hits = fields.Integer(metadata={"description": "Model calls of this worker that were answered from memory."})
    cache_misses = fields.Integer(metadata={"description": "Model calls of this worker that could have been, and were not."})


class ServerStatus(Tool):
    name = "server_status"
    title = "Server status"
    description = (
        "Tells whether this server and its language model can work: version, back end, the default model, the models that `model` may name, "
        "and, when something is wrong, the problem and what to do about it. Takes no arguments. "
        "Use it after another tool reported that the model is missing, loading, busy or unavailable. It asks the model nothing."
    )
    input_schema = ServerStatusInput()
    output_schema = ServerStatusOutput()
    annotations: ClassVar[Mapping[str, bool]] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}

    def __init__(self, model_status: Callable[[Deadline], ModelStatus]) -> None:
        self._model_status = model_status

    def run(self, call: CallContext) -> dict[str, Any]:
        status = self._model_status(call.deadline)
        told = {"model": call.model(None) or status.model, "problem": status.problem}
        facts = {name: status.facts[name] for name in ("note", "running", "waiting", "cache_hits", "cache_misses") if name in status.facts}
        return {
            "version": __version__,
            "back_end": status.back_end,
            "model_available": status.available,
            "models": [model for model in status.models if not call.models or model in call.models],
            **{name: value for name, value in told.items() if value},
            **facts,
        }
