"""A search stops no other greenlet: what it does runs in a real thread, and who waits for one can give up."""

import random
import time

import gevent
import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import TooBusy
from tests.knowledge_base import WordEmbedder, article

DOCUMENTS = 1500


@pytest.fixture
def large(files):
    chance = random.Random(11)
    words = [f"word{number}" for number in range(400)]
    files.build(*(article(f"KB{number:05}", " ".join(chance.choices(words, k=6)), " ".join(chance.choices(words, k=200)))
                  for number in range(DOCUMENTS)), embedder=WordEmbedder())
    return files


@pytest.mark.requirement("KNO-008")
def test_while_searches_run_other_greenlets_go_on(large):
    knowledge, gaps = large.knowing(WordEmbedder()), []
    query = " ".join(f"word{number}" for number in range(30))

    def tick():
        last = time.perf_counter()
        while True:
            gevent.sleep(0.002)
            now = time.perf_counter()
            gaps.append(now - last - 0.002)
            last = now

    def search():
        return knowledge.search(query, kind="article", deadline=Deadline.after(30))

    search()
    beside = gevent.spawn(tick)
    began = time.perf_counter()
    searches = [gevent.spawn(search) for _ in range(50)]
    gevent.joinall(searches, raise_error=True)
    took = time.perf_counter() - began
    beside.kill()
    assert all(len(each.value.hits) == 5 for each in searches)
    assert max(gaps) < took / 2, "in the hub they would have run one after the other, and nothing between them"


@pytest.mark.requirement("KNO-008")
def test_who_waits_for_a_thread_gives_up_at_its_deadline(large):
    """A search that is under way ends by its deadline too."""
    knowledge = large.knowing()
    query = " ".join(f"word{number}" for number in range(30))
    began = time.perf_counter()
    searches = [gevent.spawn(knowledge.search, query, kind="article", deadline=Deadline.after(0.1)) for _ in range(200)]
    gevent.joinall(searches)
    assert time.perf_counter() - began < 2
    assert {type(each.exception) for each in searches} <= {TooBusy, type(None)}
    assert any(isinstance(each.exception, TooBusy) for each in searches)
