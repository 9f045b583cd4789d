"""The promises of an index, in files and in PostgreSQL with pgvector."""

import random

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, StoreUnavailable, TooBusy
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.documents import ANYBODY, OPERATOR, Reader, Restriction
from mcp_server.knowledge.ports import VectorModel, Where
from mcp_server.storage import knowledge_postgresql, knowledge_postgresql_view, knowledge_shelf
from tests.knowledge_base import NOW, Library, WordEmbedder, article, library, vector_postgres

__all__ = ["library", "vector_postgres"]

HR = Reader(frozenset({"*", "client:hr"}))
MAPPED = Policy(user_criteria={"hr staff": frozenset({"client:hr"}), "contractors": frozenset({"client:contractor"})})
SECRET = Restriction(can_read=("HR staff",))


def soon():
    return Deadline.after(20)


def where(**changes):
    return Where(**{"kind": "article", "reader": ANYBODY, "now": NOW} | changes)


def numbers(found):
    return [hit.document.number for hit in found.hits]


def search(knowledge, query, **changes):
    return knowledge.search(query, **{"kind": "article", "deadline": soon()} | changes)


def test_before_the_first_generation_nothing_is_there(library):
    assert search(library.knowing(), "vpn").empty
    with library.index.reading() as view:
        assert view is None


def test_words_find_the_document_that_has_them_the_rarer_ones_first(library):
    drops = article("KB1", "VPN drops", "Disable power saving.")
    library.build(drops, article("KB2", "Printer", "Paper is stuck."), article("KB3", "Mail", "VPN, too."))
    found = search(library.knowing(), "How do I keep the vpn from dropping?")
    assert numbers(found)[0] == "KB1"
    assert "KB2" not in numbers(found)
    assert (found.method, found.degraded, found.empty) == ("lexical", "", False)
    assert found.hits[0].passage == "Disable power saving."


def test_words_are_found_in_other_forms_and_without_accents(library):
    library.build(article("KB1", "Resetting passwords", "Über das Portal. Before lunch."))
    for query in ("reset password", "uber", "ÜBER", "before"):
        assert numbers(search(library.knowing(), query)) == ["KB1"], query


def test_a_number_finds_its_document(library):
    library.build(article("KB0010001", "One"), article("KB0010002", "Two"))
    assert numbers(search(library.knowing(), "kb0010002")) == ["KB0010002"]


@pytest.mark.requirement("KNO-006")
@pytest.mark.parametrize("query", [
    '"', "a OR b*", "NEAR(x y)", "' ; DROP TABLE x", "col:x", "-x", "((", "%", "\0", "the", "!", "a & b | c", "ü" * 5000])
def test_no_text_is_a_query_language(library, query):
    library.build(article("KB1", "VPN", "text"))
    assert search(library.knowing(WordEmbedder()), query).degraded == ""


def test_vectors_find_what_words_do_not(library):
    embedder = WordEmbedder()
    library.build(article("KB1", "vpn", "vpn vpn"), article("KB2", "printer", "printer paper"), embedder=embedder)
    assert numbers(search(library.knowing(), "tunnel")) == []
    found = search(library.knowing(embedder), "tunnel")
    assert found.method == "lexical+vectors"
    assert numbers(found)[0] == "KB1"
    assert found.hits[0].ranks == {"vectors": 1}
    assert found.hits[0].similarity > 0.9


@pytest.mark.requirement("KNO-005")
@pytest.mark.parametrize(("made_by", "asked"), [
    (WordEmbedder("words", 64), WordEmbedder("words", 32)), (WordEmbedder("words", 64), WordEmbedder("others", 64))])
def test_vectors_of_another_model_or_size_are_refused_and_words_answer(library, made_by, asked):
    library.build(article("KB1", "vpn", "vpn"), embedder=made_by)
    found = search(library.knowing(asked), "vpn")
    assert numbers(found) == ["KB1"]
    assert found.method == "lexical"
    assert "flask knowledge rebuild" in found.degraded
    model = VectorModel(asked.model.name, asked.model.dimensions, "d1")
    with library.index.reading() as view, pytest.raises(KnowledgeRefused):
        view.nearest([0.1] * asked.model.dimensions, model, where(), 5, soon())


@pytest.mark.requirement("KNO-009")
def test_while_the_model_is_away_words_answer_and_the_answer_says_so(library):
    library.build(article("KB1", "vpn", "vpn"), article("KB2", "printer"), embedder=WordEmbedder())
    found = search(library.knowing(WordEmbedder(fails_after=0)), "vpn")
    assert (numbers(found), found.method) == (["KB1"], "lexical")
    assert "The model does not answer." in found.degraded
    assert "No embedding model is configured" in search(library.knowing(), "vpn").degraded


def test_a_vector_that_is_not_as_long_as_its_model_says_is_refused(library):
    library.build(article("KB1", "vpn"), embedder=WordEmbedder())
    with library.index.reading() as view, pytest.raises(KnowledgeRefused):
        view.nearest([0.1] * 63, VectorModel("words", 64, "d1"), where(), 5, soon())


@pytest.mark.requirement("KNO-001")
@pytest.mark.parametrize("embedder", [None, WordEmbedder()])
def test_what_a_reader_may_not_read_is_not_found_by_any_means(library, embedder):
    library.build(article("KB1", "salary of managers", "salary", restriction=SECRET), article("KB2", "Printer"), embedder=embedder, policy=MAPPED)
    for reader, expected in ((ANYBODY, False), (Reader(frozenset({"*", "client:other"})), False), (HR, True), (OPERATOR, True)):
        knowledge = library.knowing(embedder)
        assert ("KB1" in numbers(search(knowledge, "salary managers wage", reader=reader))) is expected
        assert (knowledge.find("article", "KB1", reader=reader) is not None) is expected
        with library.index.reading() as view:
            assert ("KB1" in view.numbers("kb", 10, where(reader=reader))) is expected
            assert ("KB1" in [each.number for each in view.page("", 10, where(reader=reader))]) is expected


@pytest.mark.parametrize("many", [1, 300])
def test_what_may_not_be_read_takes_no_place_from_what_may(library, many, monkeypatch):
    """The mask lies before the cut: hidden documents that fit better do not crowd out the one that may be read."""
    monkeypatch.setattr(knowledge_postgresql_view, "HNSW_FROM", 100)
    embedder = WordEmbedder()
    hidden = [article(f"KB1{number:03}", "vpn vpn vpn", "vpn vpn", restriction=SECRET) for number in range(many)]
    library.build(*hidden, article("KB2", "the vpn and other things", "vpn printer mail phone"), embedder=embedder, policy=MAPPED)
    found = search(library.knowing(embedder), "vpn", limit=3)
    assert numbers(found) == ["KB2"]
    assert found.hits[0].ranks == {"lexical": 1, "vectors": 1}
    assert numbers(search(library.knowing(), "vpn", limit=3)) == ["KB2"]


def test_who_is_kept_out_by_a_criterion_does_not_read_though_the_others_do(library):
    library.build(article("KB1", "vpn", restriction=Restriction(cannot_read=("Contractors",))), policy=MAPPED)
    assert numbers(search(library.knowing(), "vpn")) == ["KB1"]
    assert search(library.knowing(), "vpn", reader=Reader(frozenset({"*", "client:contractor"}))).empty


@pytest.mark.parametrize("embedder", [None, WordEmbedder()])
def test_what_has_expired_or_is_not_valid_yet_is_not_found(library, embedder):
    library.build(article("KB1", "vpn old", visible_until=NOW + 10), article("KB2", "vpn new", visible_from=NOW + 10), embedder=embedder)
    knowledge = library.knowing(embedder)
    assert numbers(search(knowledge, "vpn")) == ["KB1"]
    library.now = NOW + 10
    assert numbers(search(knowledge, "vpn")) == ["KB2"]
    assert knowledge.find("article", "KB1") is None


def test_words_that_stand_everywhere_are_left_out_of_a_question_that_has_others(library, monkeypatch):
    monkeypatch.setattr(knowledge_shelf, "LEAST_COMMON", 3)
    library.build(*(article(f"KB{number:02}", f"vpn connections {number}") for number in range(39)), article("KB99", "certificate of the vpn"))
    assert numbers(search(library.knowing(), "vpn connection certificate")) == ["KB99"]
    assert len(numbers(search(library.knowing(), "vpn connection"))) == 5


@pytest.mark.parametrize("embedder", [None, WordEmbedder()])
def test_filters_are_exact_without_regard_to_case(library, embedder):
    library.build(article("KB1", "vpn", facts={"category": "Network"}), article("KB2", "vpn", facts={"category": "Networking"}), embedder=embedder)
    knowledge = library.knowing(embedder)
    assert numbers(search(knowledge, "vpn", filters={"category": "NETWORK"})) == ["KB1"]
    assert numbers(search(knowledge, "vpn", filters={"category": "nothing of ours"})) == []
    assert not search(knowledge, "vpn", filters={"category": "nothing of ours"}).empty


def test_kinds_do_not_mix(library):
    library.build(article("KB1", "vpn"), article("INC1", "vpn", kind="incident"))
    assert numbers(search(library.knowing(), "vpn", kind="incident")) == ["INC1"]
    assert search(library.knowing(), "vpn", kind="catalog_item").empty


def test_a_document_is_found_once_by_its_best_passage(library):
    filler = "Nothing of interest stands in this sentence at all. " * 12
    library.build(article("KB1", "Guide", f"{filler}\n\nThe vpn needs a certificate.\n\n{filler} vpn {filler}"))
    found = search(library.knowing(), "vpn certificate")
    assert numbers(found) == ["KB1"]
    assert "certificate" in found.hits[0].passage


def test_the_newest_one_of_a_number_is_meant(library):
    library.build(article("KB1", "old", id="a", updated="2026-01-01 00:00:00"), article("KB1", "new", id="b", updated="2026-02-01 00:00:00"))
    assert library.knowing().find("article", "kb1").title == "new"
    with library.index.reading() as view:
        assert [each.title for each in view.page("", 10, where())] == ["new"]


def test_pages_repeat_and_miss_nothing(library):
    wanted = sorted(f"KB{number:04}" for number in random.Random(5).sample(range(9999), 25))
    library.build(*(article(number) for number in wanted))
    found, after = [], ""
    with library.index.reading() as view:
        while page := view.page(after, 10, where()):
            found += [each.number for each in page]
            after = found[-1]
        assert view.numbers(wanted[3][:4].lower(), 50, where()) == [number for number in wanted if number.startswith(wanted[3][:4])]
    assert found == wanted


@pytest.mark.requirement("KNO-003")
def test_another_generation_takes_the_place_of_the_whole(library):
    library.build(article("KB1", "vpn"), article("KB2", "vpn"))
    with library.index.reading() as before:
        library.corpus.remove("article", ["id-KB1"])
        library.build(article("KB3", "vpn"))
        assert len(before.lexical(["vpn"], where(), 10, soon())) == 2, "who reads goes on in the generation where it began"
        assert set(before.documents(where(), [0, 1])) == {0, 1}
    assert sorted(numbers(search(library.knowing(), "vpn"))) == ["KB2", "KB3"]


def test_a_generation_that_was_not_published_is_never_seen(library):
    library.build(article("KB1", "vpn"))
    with library.index.reading() as view:
        generation = view.state.generation

    def break_off(stage, *_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.build(article("KB2", "vpn"), progress=break_off)
    with library.index.reading() as view:
        assert view.state.generation == generation
    assert numbers(search(library.knowing(), "vpn")) == ["KB1"]


def test_after_many_generations_two_are_kept(library):
    for number in range(4):
        library.build(article(f"KB{number}", "vpn"))
    assert len(numbers(search(library.knowing(), "vpn"))) == 4
    assert generations_of(library.index) == 2


def generations_of(index):
    if isinstance(index, knowledge_postgresql.PostgresIndex):
        with index._database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'knowledge_passages_%%'")
            return rows.scalar()
    return len(list(index._folder.glob("generation-*")))


def test_cleared_it_is_as_if_nothing_had_been_imported(library):
    library.build(article("KB1", "vpn"))
    library.index.clear()
    assert search(library.knowing(), "vpn").empty
    library.corpus.clear()
    library.build(article("KB2", "vpn"))
    assert numbers(search(library.knowing(), "vpn")) == ["KB2"]


def test_a_search_whose_time_is_over_says_so(library):
    library.build(article("KB1", "vpn"))
    with pytest.raises(TooBusy):
        search(library.knowing(), "vpn", deadline=Deadline.after(0))


def test_articles_that_changed_are_named_unless_they_are_restricted(library):
    library.build(article("KB1", "one"), article("KB2", "two"), article("KB3", "three", restriction=SECRET), policy=MAPPED)
    state = library.build(article("KB1", "one, changed"), article("KB3", "three, changed", restriction=SECRET), article("KB4"), policy=MAPPED)
    assert list(state.changed) == ["KB1"]


def test_a_postgresql_without_pgvector_says_what_it_lacks_and_holds_an_index_of_words(tmp_path, new_postgres_url):
    plain = Library(tmp_path, knowledge_postgresql.PostgresIndex(new_postgres_url))
    try:
        with pytest.raises(KnowledgeRefused, match="CREATE EXTENSION vector"):
            plain.build(article("KB1", "vpn"), embedder=WordEmbedder())
        plain.build()
        assert numbers(search(plain.knowing(), "vpn")) == ["KB1"]
    finally:
        plain.close()


def test_a_postgresql_that_is_away_is_told_as_such(tmp_path):
    away = Library(tmp_path, knowledge_postgresql.PostgresIndex("postgresql+psycopg://nobody@127.0.0.1:9/none"))
    with pytest.raises(StoreUnavailable):
        search(away.knowing(), "vpn")
    away.close()
