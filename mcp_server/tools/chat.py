"""A conversation with the model, which remembers the last turns for an hour."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from marshmallow import Schema, fields, validate

from mcp_server.llm.ports import Message, Prompt
from mcp_server.llm.redaction import Redaction
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.ports import ChatStore
from mcp_server.mcp.tool import Tool
from mcp_server.principal import Principal
from mcp_server.tools.inquiry import and_facts
from mcp_server.tools.parts import Parts

MOST_CHARACTERS, ANSWER_TOKENS = 8000, 600
MOST_TURNS, REMEMBERED = 12, 3600
LONGEST_KEPT = 4000
CHARACTERS_PER_TOKEN = 3
SYSTEM = "You help people with questions about IT. Be brief and plain. Say so when you do not know."


class ChatInput(Schema):
    message = Text(
        required=True, validate=validate.Length(min=1, max=MOST_CHARACTERS), metadata={"description": "What is said to the model next."})
    conversation_id = Text(
        validate=validate.Regexp(r"^[A-Za-z0-9._:-]{1,100}$", error="must be letters, digits and . _ : -, at most 100 characters."),
        metadata={"description": (
            "Id of the conversation that this goes on: what an earlier answer named, or an id of your own, such as the incident's number. "
            "Leave it out to begin a new one.")})


class ChatOutput(Schema):
    answer = fields.String(required=True, metadata={"description": "What the model says."})
    conversation_id = fields.String(required=True, metadata={"description": "Give this with the next message of the same conversation."})
    turns_remembered = fields.Integer(required=True, metadata={"description": "Earlier turns that the model was told. 0: new, or forgotten."})
    complete = fields.Boolean(required=True, metadata={"description": "False: the answer was cut off."})


class Chat(Tool):
    name = "chat"
    title = "Chat with the local model"
    description = (
        "Says something to the language model inside this network and remembers the conversation for an hour, for this caller alone. "
        "Inputs: `message` (required), `conversation_id`. Comes back: an object with `answer`, and the `conversation_id` for the next message. "
        "The model cannot look anything up and may be wrong. Use it where a person goes back and forth; not for a single text (llm_generate), "
        "or for questions that the knowledge base answers (answer_from_knowledge)."
    )
    input_schema = ChatInput()
    output_schema = and_facts(ChatOutput)
    annotations: ClassVar[Mapping[str, bool]] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False}

    def __init__(self, parts: Parts, chats: ChatStore) -> None:
        self._parts = parts
        self._chats = chats

    def run(self, call: CallContext, *, message: str, conversation_id: str | None = None) -> dict[str, Any]:
        conversation_id = conversation_id or secrets.token_urlsafe(12)
        chat, redaction = _name(call.principal, conversation_id), Redaction(self._parts.redact)
        now = self._parts.clock()
        told, remembered = self._history(self._chats.turns(chat, now), len(message))
        messages = [Message("system", SYSTEM), *told, Message("user", message)]
        prompt = Prompt(
            [Message(each.role, redaction.redacted(each.content)) for each in messages], call.model(None), max_tokens=ANSWER_TOKENS)
        answer = self._parts.model.answer(prompt, call.deadline, call.counting_tokens())
        text = redaction.restored(answer.text)
        self._remember(chat, message, text)
        kept = {"redacted": redaction.kinds} if redaction.kinds else {}
        return {
            "answer": text, "conversation_id": conversation_id, "turns_remembered": remembered, "complete": answer.complete,
            "model": answer.model, "back_end": answer.back_end, **kept}

    def _history(self, turns: Sequence[bytes], message: int) -> tuple[list[Message], int]:
        """The last turns that fit into the context beside the message, and how many."""
        room = (self._parts.context - ANSWER_TOKENS) * CHARACTERS_PER_TOKEN - len(SYSTEM) - message
        told: list[Message] = []
        for turn in reversed(turns):
            said, answered = orjson.loads(turn)
            room -= len(said) + len(answered)
            if room < 0:
                break
            told = [Message("user", said), Message("assistant", answered), *told]
        return told, len(told) // 2

    def _remember(self, chat: str, message: str, answer: str) -> None:
        """A secret that may not reach the model is not kept either."""
        secrets_out = Redaction("off" if self._parts.redact == "off" else "secrets")
        turn = orjson.dumps([secrets_out.redacted(text)[:LONGEST_KEPT] for text in (message, answer)])
        now = self._parts.clock()
        self._chats.add(chat, turn, most=MOST_TURNS, until=now + REMEMBERED, now=now)


def _name(principal: Principal | None, conversation_id: str) -> str:
    """Of the caller's own: nobody else's call leads to it, whatever id it names."""
    whose = (principal.client_id, principal.subject) if principal else ()
    return hashlib.sha256(repr((*whose, conversation_id)).encode()).hexdigest()
