"""One order of two lists."""

import pytest

from mcp_server.knowledge.fusion import fuse
from mcp_server.knowledge.ports import Match


def ranked(*keys):
    return [Match(key, 0, 1.0) for key in keys]


def order(**lists):
    return [each.key for each in fuse(lists)]


def test_what_both_lists_have_first_has_the_score_1():
    assert [(each.key, each.score) for each in fuse({"lexical": ranked(7), "vectors": ranked(7)})] == [(7, pytest.approx(1))]
    assert fuse({"lexical": ranked(7)})[0].score == pytest.approx(1)


def test_where_the_lists_do_not_agree_the_vectors_count_twice():
    assert order(lexical=ranked(1, 2), vectors=ranked(2, 1)) == [2, 1]
    assert order(lexical=ranked(1), vectors=ranked(2)) == [2, 1]


@pytest.mark.parametrize(("place", "first"), [(2, 1), (11, 1), (13, 2)])
def test_a_word_for_word_find_stays_first_unless_the_vectors_find_it_far_off(place, first):
    others = list(range(100, 98 + place))
    assert order(lexical=ranked(1), vectors=ranked(2, *others, 1))[0] == first


def test_a_document_counts_once_in_a_list_by_its_best_passage():
    found = fuse({"lexical": [Match(1, 4, 9.0), Match(1, 2, 8.0), Match(2, 0, 7.0)], "vectors": [Match(2, 1, 0.5)]})
    one = next(each for each in found if each.key == 1)
    assert (one.ranks, one.best.passage, one.similarity) == ({"lexical": 1}, 4, None)
    assert next(each for each in found if each.key == 2).ranks == {"lexical": 2, "vectors": 1}
