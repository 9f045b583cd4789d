"""An answer of which each sentence names the article that it is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.errors import ModelError
from mcp_server.knowledge.ports import Knowledge
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.candidates import Candidates, SourceOutput, shown
from mcp_server.tools.inquiry import Inquiry, and_facts
from mcp_server.tools.parts import READS, Parts
from mcp_server.tools.supported import Sources

ANSWER_TOKENS = 500
ARTICLES = 5
CHARACTERS_OF_AN_ARTICLE = 1500
MOST_CHARACTERS_READ = 2000
NOT_FOUND = "The knowledge base has nothing that answers this."
INSTRUCTION = """You answer a question of an IT service desk from knowledge articles, and from nothing else.
Each article has its number in brackets.
answered: whether the articles answer the question. If they do not, say false and give no claims: do not guess.
claims: the answer, one claim a sentence, each with the number of the one article that says it.
Answer with one JSON object: answered, claims (a list of objects with source and text)."""


class AnswerFromKnowledgeInput(Schema):
    question = Text(
        required=True, validate=validate.Length(min=1, max=20_000),
        metadata={"description": f"The question in full words: How do I connect to the VPN from home? {MOST_CHARACTERS_READ} characters are read."})


class ClaimOutput(Schema):
    text = fields.String(required=True, metadata={"description": "One sentence of the answer."})
    source = fields.String(required=True, metadata={"description": "The article that says it."})


class AnswerFromKnowledgeOutput(Schema):
    answer = fields.String(required=True, metadata={"description": "The answer as text, each sentence with its article; or that there is none."})
    answered = fields.Boolean(required=True, metadata={"description": "False: the articles do not answer the question. Make up none then."})
    claims = fields.List(fields.Nested(ClaimOutput), required=True, metadata={"description": "The answer sentence by sentence."})
    sources = fields.List(fields.Nested(SourceOutput), required=True, metadata={"description": "The articles it rests on, or those found."})
    unsupported = fields.List(fields.String(), metadata={"description": "Figures and dates for which a claim was left out: its article lacks them."})


class AnswerFromKnowledge(Tool):
    name = "answer_from_knowledge"
    title = "Answer from the knowledge base"
    description = (
        "Answers a question from the knowledge articles of this server, and says so when they do not answer it. Input: `question`. "
        "Comes back: an object; `answer` has each sentence with its article in brackets, `answered` is false when the articles do not say, `sources` "
        "lists them. Only articles that the caller may read are used. Use it for how-to questions and company rules. "
        "Do not use it for what only an incident says (summarize_incident), or to get the articles themselves (search_knowledge)."
    )
    input_schema = AnswerFromKnowledgeInput()
    output_schema = and_facts(AnswerFromKnowledgeOutput)
    annotations: ClassVar[Mapping[str, bool]] = READS
    as_task = "optional"

    def __init__(self, parts: Parts, knowledge: Knowledge) -> None:
        self._parts = parts
        self._knowledge = knowledge

    def run(self, call: CallContext, *, question: str) -> dict[str, Any]:
        inquiry = Inquiry(call, self._parts.model, self._parts.redact)
        asked = inquiry.data(question, MOST_CHARACTERS_READ, "question")
        candidates = Candidates(call, self._knowledge)
        candidates.search(asked, "article", ARTICLES)
        if not candidates:
            return {"answer": NOT_FOUND, "answered": False, "claims": [], "sources": []} | inquiry.facts
        read = candidates.read(inquiry, CHARACTERS_OF_AN_ARTICLE)
        told = f"Articles:\n{inquiry.around(shown(read))}\n\nQuestion:\n{inquiry.around(asked)}"
        try:
            said = inquiry.ask(inquiry.prompt(INSTRUCTION, told, max_tokens=ANSWER_TOKENS), _answer_schema(tuple(read)))
        except ModelError as error:
            inquiry.without_the_model(error.message)
            titles = "\n".join(f"- {source['title']} [{source['id']}]" for source in candidates.sources())
            answer = f"The model did not answer. These articles are the nearest:\n{titles}"
            return {"answer": answer, "answered": False, "claims": [], "sources": candidates.sources()} | inquiry.facts
        return inquiry.restored_all(_checked(said, read, candidates)) | inquiry.facts


def _answer_schema(numbers: tuple[str, ...]) -> Schema:
    claim = Schema.from_dict({
        "source": fields.String(required=True, validate=validate.OneOf(numbers)),
        "text": fields.String(required=True, validate=validate.Length(min=1, max=300))})
    return Schema.from_dict({
        "answered": fields.Boolean(required=True, truthy={True}, falsy={False}),
        "claims": fields.List(fields.Nested(claim), required=True, validate=validate.Length(max=8))})()


def _checked(said: Mapping[str, Any], read: Mapping[str, str], candidates: Candidates) -> dict[str, Any]:
    """Claims whose figures their own article does not have are left out."""
    sources = {number: Sources([text]) for number, text in read.items()}
    wrong = [(claim, sources[claim["source"]].unsupported(claim["text"])) for claim in said["claims"]]
    claims = [
        {"text": sources[claim["source"]].without_foreign_links(claim["text"]), "source": claim["source"]} for claim, facts in wrong if not facts]
    answered = said["answered"] and bool(claims)
    result: dict[str, Any] = {
        "answer": " ".join(f"{claim['text']} [{claim['source']}]" for claim in claims) if answered else NOT_FOUND,
        "answered": answered, "claims": claims if answered else [],
        "sources": candidates.sources([claim["source"] for claim in claims] if answered else None)}
    left_out = list(dict.fromkeys(fact for _, facts in wrong for fact in facts))
    return result | ({"unsupported": left_out} if left_out else {})
