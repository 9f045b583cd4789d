"""Questions with known answers, over words, over vectors and over both."""

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.evaluation import report
from mcp_server.evaluation.examples import Question
from mcp_server.evaluation.plot import draw
from mcp_server.evaluation.retrieving import retrieve
from mcp_server.evaluation.wiring import KnowledgeOfTheSet
from mcp_server.knowledge.documents import Document
from tests.evaluation.parts import ByWords

DOCUMENTS = [
    Document("article", "a1", "KB1", "Reset a password", "You can set a new password yourself"),
    Document("article", "a2", "KB2", "Clear a paper jam", "Open the doors of the printer"),
    Document("article", "a3", "KB3", "Mailbox is full", "Delete large messages"),
    Document("catalog_item", "c1", "c1", "Password manager", "A safe for passwords"),
]
QUESTIONS = [
    Question("1", "how to reset my password", ("KB1",)), Question("2", "printer doors", ("KB2",)), Question("3", "nothing of this", ("KB3",))]


class Away:
    def embed(self, *_):
        raise ModelUnavailable("The embedding model does not answer.")


def test_the_rank_of_the_right_one_is_told_for_each_way():
    ranks = retrieve(KnowledgeOfTheSet(DOCUMENTS, ByWords()), "article", QUESTIONS)
    assert set(ranks) == {"lexical", "vectors", "fused"}
    assert ranks["lexical"] == [1, 1, None]
    told = report.of_retrieval(ranks)
    assert told["lexical"]["recall@5"] == 2 / 3
    assert told["fused"]["questions"] == 3


def test_without_vectors_there_is_one_way_and_the_other_is_not_made_up():
    for embedder in (None, Away()):
        assert retrieve(KnowledgeOfTheSet(DOCUMENTS, embedder), "article", QUESTIONS) == {"lexical": [1, 1, None], "fused": [1, 1, None]}


def test_only_documents_of_the_kind_are_found():
    found = KnowledgeOfTheSet(DOCUMENTS, ByWords()).search("password", kind="catalog_item", deadline=Deadline.after(5))
    assert [hit.document.number for hit in found.hits] == ["c1"]


def test_the_picture_shows_what_was_measured_and_escapes_what_it_is_called():
    ranks = retrieve(KnowledgeOfTheSet(DOCUMENTS, ByWords()), "article", QUESTIONS)
    picture = draw({"retrieval": {"articles": report.of_retrieval(ranks)}}, "Evaluation of <model>")
    assert "&lt;model&gt;" in picture
    assert "recall@5, articles: fused" in picture
