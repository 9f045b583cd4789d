"""Building again, building on, and building while others search or build."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, ModelUnavailable, StoreUnavailable
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.knowledge.chunks import LONGEST, embedded_text, passages_of
from mcp_server.knowledge.documents import ANYBODY, Restriction
from mcp_server.knowledge.ports import Where
from mcp_server.llm.ports import EmbeddingModel, Embeddings
from mcp_server.storage.knowledge_corpus import KnowledgeCorpus
from mcp_server.storage.knowledge_files import FileIndex
from tests.knowledge_base import NOW, WordEmbedder, article

ASKED_WHO = 1
"""Each build asks once which model answers."""


def search(library, query, embedder=None):
    found = library.knowing(embedder).search(query, kind="article", deadline=Deadline.after(20))
    return [hit.document.number for hit in found.hits]


def test_only_what_is_new_or_changed_is_embedded_again(library):
    embedder = WordEmbedder()
    documents = [article(f"KB{number}", f"title {number}", f"text {number}") for number in range(40)]
    library.build(*documents, embedder=embedder)
    assert len(embedder.texts) == 40 + ASKED_WHO
    embedder.texts.clear()
    library.build(*documents[:-1], article("KB39", "title 39", "another text"), article("KB40", "title 40", "text 40"), embedder=embedder)
    assert sorted(embedder.texts)[1:] == ["title 39\n\nanother text", "title 40\n\ntext 40"]
    assert search(library, "another", embedder)[0] == "KB39"


@pytest.mark.requirement("KNO-004")
def test_a_build_whose_model_fails_leaves_the_index_and_goes_on_where_it_ended(library):
    library.build(article("KB0", "before"))
    documents = [article(f"KB{number}", f"title {number}", f"text {number}") for number in range(1, 101)]
    failing = WordEmbedder(fails_after=70)
    with pytest.raises(ModelUnavailable):
        library.build(*documents, embedder=failing)
    assert search(library, "before title") == ["KB0"]
    embedder = WordEmbedder()
    library.build(embedder=embedder)
    assert len(embedder.texts) == 101 - (len(failing.texts) - ASKED_WHO) + ASKED_WHO
    assert len(failing.texts) > 60
    assert search(library, "title 77", embedder)[0] == "KB77"


def test_vectors_of_another_model_are_not_taken_for_its_own(library):
    library.build(article("KB1", "vpn"), embedder=WordEmbedder("one"))
    other = WordEmbedder("two", dimensions=32)
    state = library.build(embedder=other)
    assert (state.model.name, state.model.dimensions) == ("two", 32)
    assert len(other.texts) == 1 + ASKED_WHO
    assert search(library, "tunnel", other) == ["KB1"]


class Spoilt(WordEmbedder):
    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def embed(self, texts, deadline):
        made = super().embed(texts, deadline)
        return made if len(self.texts) == ASKED_WHO else self.spoil(made)


@pytest.mark.parametrize("spoil", [
    lambda made: Embeddings([vector[:-1] for vector in made.vectors], made.model),
    lambda made: Embeddings(made.vectors[:-1], made.model),
    lambda made: Embeddings([[float("nan")] * 64 for _ in made.vectors], made.model),
    lambda made: Embeddings([[0.0] * 64 for _ in made.vectors], made.model),
    lambda made: Embeddings(made.vectors, EmbeddingModel("another", 64, "d1")),
    lambda made: Embeddings(made.vectors, EmbeddingModel("words", 64, "d2")),
], ids=["short", "few", "nan", "zeros", "another model", "another digest"])
def test_vectors_that_are_none_are_refused_and_nothing_is_published(library, spoil):
    with pytest.raises(KnowledgeRefused):
        library.build(article("KB1", "vpn"), embedder=Spoilt(spoil))
    with library.index.reading() as view:
        assert view is None


def test_a_passage_that_does_not_fit_the_model_is_halved_and_found_by_both_ends(files):
    embedder = WordEmbedder(longest=300)
    text = "alpha " * 60 + "omega " * 60
    files.build(article("KB1", "x", text), article("KB2", "y", "printer"), embedder=embedder)
    assert all(len(sent) <= 300 for sent in embedder.texts)
    assert "".join(embedder.texts).count("alpha") >= 60, "nothing of it is cut away"
    for word in ("alpha", "omega"):
        found = files.knowing(embedder).search(word, kind="article", deadline=Deadline.after(20))
        assert found.hits[0].similarity > 0.5


def test_passages_lose_nothing_and_are_short_enough():
    sentences = "It has several sentences of some length. "
    text = "\n\n".join(f"Paragraph {number}. {sentences * (number % 9)}{'w' * (number * 60)}" for number in range(30))
    passages = passages_of(article("KB1", "A title", text))
    assert max(map(len, passages)) <= LONGEST
    assert len(embedded_text("t" * 500, passages[0])) <= LONGEST + 130
    words = set(text.split())
    assert {word for passage in passages for word in passage.split()} >= {word for word in words if len(word) < LONGEST}
    assert sum(passage.count("w") for passage in passages) >= text.count("w")
    assert passages_of(article("KB1", "Only a title", "")) == ["Only a title"]


def test_what_is_left_out_is_counted_by_its_reason(library):
    state = library.build(
        article("KB1", restriction=Restriction(can_read=("HR",))), article("KB2", restriction=Restriction(can_read=("HR",))),
        article("KB3", restriction=Restriction(known=False)), article("KB4"))
    assert dict(state.left_out) == {
        "article is restricted by HR, which config/knowledge.yaml does not map": 2, "article does not say who may read it": 1}
    assert state.documents["article"] == 1


def test_a_narrower_policy_holds_after_a_rebuild_without_another_import(library):
    restricted = article("KB1", "vpn", restriction=Restriction(can_read=("HR",)))
    library.build(restricted, policy=Policy(user_criteria={"hr": frozenset({"*"})}))
    assert search(library, "vpn") == ["KB1"]
    library.build()
    assert search(library, "vpn") == []


@pytest.mark.parametrize("spoil", [
    lambda folder: (folder / "article.vectors").write_bytes(b"1234" * 10_000), lambda folder: (folder / "index.db").unlink(),
    lambda folder: (folder / "state.json").write_text("{}"), lambda folder: (folder / "article.places.npy").write_bytes(b"")])
def test_a_damaged_index_is_refused_with_what_to_do(files, tmp_path, spoil):
    files.build(article("KB1", "vpn"), embedder=WordEmbedder())
    spoil(next((tmp_path / "index").glob("generation-*")))
    with pytest.raises(StoreUnavailable, match="flask knowledge rebuild"):
        search(files, "vpn")
    files.build(embedder=WordEmbedder())
    assert search(files, "vpn") == ["KB1"]


def test_an_index_is_for_its_owner_alone(files, tmp_path):
    files.build(article("KB1", "vpn"))
    assert (tmp_path / "index").stat().st_mode & 0o077 == 0
    assert (tmp_path / "corpus.db").stat().st_mode & 0o077 == 0


def test_of_two_who_change_the_knowledge_one_is_refused_in_words(files, tmp_path):
    other = KnowledgeCorpus(tmp_path)
    with files.corpus.exclusively(), pytest.raises(KnowledgeRefused, match=f"process {os.getpid()}"), other.exclusively():
        pass
    with other.exclusively():
        pass


def test_of_two_who_write_into_postgresql_one_is_refused(library):
    if isinstance(library.index, FileIndex):
        return  # the lock of the corpus is theirs
    with library.index.writing(None, NOW), pytest.raises(KnowledgeRefused, match="Another machine"), library.index.writing(None, NOW):
        pass


KILLED = """
import sys
from pathlib import Path
from tests.knowledge_base import Library, WordEmbedder, article
from mcp_server.storage.knowledge_files import FileIndex
folder = Path(sys.argv[1])
library = Library(folder, FileIndex(folder / "index"))
class Slow(WordEmbedder):
    def embed(self, texts, deadline):
        if len(self.texts) > 100:
            print("here", flush=True)
            sys.stdin.read()
        return super().embed(texts, deadline)
def stop(stage, done, total):
    if stage == "Writing the index" and sys.argv[2] == "writing":
        print("here", flush=True)
        sys.stdin.read()
with library.corpus.exclusively():
    embedder = Slow() if sys.argv[2] == "embedding" else WordEmbedder()
    library.build(*(article(f"KB{n:03}", f"title {n}", f"text {n}") for n in range(300)), embedder=embedder, progress=stop)
"""


@pytest.mark.requirement("KNO-004")
@pytest.mark.parametrize("where", ["embedding", "writing"])
def test_a_build_that_was_killed_leaves_the_index_frees_the_lock_and_goes_on(files, tmp_path, where):
    files.build(article("KB999", "before"))
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "here\n"
        assert search(files, "before") == ["KB999"]
        assert search(files, "title") == []
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    embedder = WordEmbedder()
    with files.corpus.exclusively():
        files.build(embedder=embedder)
    assert len(embedder.texts) <= (301 - 100 if where == "embedding" else 1) + ASKED_WHO
    assert files.corpus.count() == 301
    assert search(files, "title 250")[0] == "KB250"
    assert not list((tmp_path / "index").glob("*.new")), "what the killed one left is gone"


@pytest.mark.requirement("KNO-003")
def test_searches_never_see_half_an_index_while_it_is_built_again_and_again(library):
    """Generation n has only documents with the word `round<n>`, all 60 of them."""
    rounds, size, problems, done = 5, 60, [], threading.Event()

    def generation(number):
        return [article(f"KB{each:03}", "vpn", f"round{number} vpn") for each in range(size)]

    library.build(*generation(0), embedder=WordEmbedder())

    def look():
        embedder, looks = WordEmbedder(), 0
        while not done.is_set() or not looks:
            looks += 1
            try:
                found = library.knowing(embedder).search("vpn", kind="article", limit=50, deadline=Deadline.after(20))
                seen = {hit.passage for hit in found.hits}
                if len(seen) != 1 or len(found.hits) != 50 or found.degraded:
                    problems.append((seen, len(found.hits), found.degraded))
            except Exception as error:  # noqa: BLE001 it is the finding
                problems.append(repr(error))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, rounds):
            corpus = library.corpus
            corpus.put(generation(number), "test")
            Builder(corpus, library.index, WordEmbedder(), Policy(), lambda: NOW).build(lambda *_: None)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert problems == []


def test_who_reads_goes_on_in_files_that_are_gone(files):
    files.build(article("KB1", "vpn"))
    where = Where("article", ANYBODY, NOW)
    with files.index.reading() as before:
        assert before.find("KB1", where)
        for number in (2, 3, 4):
            files.build(article(f"KB{number}", "vpn"))
            assert search(files, "vpn")
        assert [document.number for document in before.page("", 10, where)] == ["KB1"]
