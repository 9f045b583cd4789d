"""After a reload: what clients are told of lists and resources that are not as they knew them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcp_server.mcp.announcing import announce
from mcp_server.mcp.changes import RECENT, Changes
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.conversation import Outlet, StatelessConversation
from mcp_server.mcp.eras import CAPABILITIES_KEY
from mcp_server.mcp.methods.subscriptions import listen, listen_in_session
from mcp_server.mcp.prompts import PromptRegistry
from mcp_server.mcp.resources import Contents, FixedResources, Resource, ResourceRegistry
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.tool import ToolRegistry
from tests.mcp.offered import Greeting

TOOLS, PROMPTS, RESOURCES = (f"notifications/{name}/list_changed" for name in ("tools", "prompts", "resources"))
UPDATED = "notifications/resources/updated"


def notes(text="x", title=None):
    return ResourceRegistry([FixedResources("notes", [Resource("note://a", "a", title)], [Contents("note://a", text)])])


@pytest.fixture
def offered():
    return {"prompts": PromptRegistry([Greeting()]), "resources": notes()}


class Worker:
    """A worker that has just started, with what it tells and to whom."""

    def __init__(self, server, state, now, **changes):
        self.switchboard = Switchboard(state.journals, lambda: now)
        self.server = replace(server, changes=Changes(self.switchboard, lambda: now), **changes)
        self.state, self.now = state, now
        self.heard = []

    def start(self):
        announce(self.server, self.state.listings, self.now)

    def hear(self, method, params):
        self.heard.append((method, params))

    def listener(self):
        return self.server.changes.following(lambda *_: True, self.hear)


@pytest.fixture
def worker(server, state, clock):
    def worker(later=0.0, **changes):
        return Worker(server, state, clock() + later, **changes)

    return worker


@pytest.mark.parametrize(("changes", "told"), [
    ({}, []),
    ({"tools": ToolRegistry([], 10)}, [(TOOLS, {})]),
    ({"prompts": PromptRegistry()}, [(PROMPTS, {})]),
    ({"resources": notes(title="Another")}, [(RESOURCES, {})]),
    ({"resources": notes("y")}, [(UPDATED, {"uri": "note://a"})]),
    ({"prompts": PromptRegistry(), "tools": ToolRegistry([], 10)}, [(TOOLS, {}), (PROMPTS, {})]),
])
def test_a_start_with_something_else_is_told_to_those_who_listen_to_another_worker(worker, changes, told):
    old = worker()
    old.start()
    with old.listener():
        for _ in range(3):  # as many workers as there are
            worker(1, **changes).start()
        old.switchboard.follow()
    assert old.heard == told


def test_the_first_start_of_all_tells_nothing(worker):
    first = worker()
    with first.listener():
        first.start()
        first.switchboard.follow()
    assert first.heard == []


@pytest.mark.parametrize(("later", "told"), [(0, [(PROMPTS, {})]), (RECENT - 1, [(PROMPTS, {})]), (RECENT + 1, [])])
def test_a_client_whose_stream_ended_with_the_old_worker_is_told_when_it_listens_again(worker, later, told):
    worker().start()
    worker(1, prompts=PromptRegistry()).start()
    second = worker(1 + later, prompts=PromptRegistry())
    second.start()
    second.server.changes.tell_recent(lambda *_: True, second.hear)
    assert second.heard == told


def test_only_what_is_wanted_is_told_late(worker):
    worker().start()
    changed = worker(1, prompts=PromptRegistry(), resources=notes("y"))
    changed.start()
    changed.server.changes.tell_recent(lambda method, _: method == UPDATED, changed.hear)
    assert changed.heard == [(UPDATED, {"uri": "note://a"})]


class Ear(Outlet):
    def __init__(self):
        self.heard = []

    def send(self, message):
        self.heard.append(message["method"])


def test_it_is_told_on_both_kinds_of_streams_and_behind_the_acknowledgement(worker, sessions, principal_with):
    worker().start()
    second = worker(1, resources=notes("y", "Another"))
    second.start()
    second.server.changes.close()  # so that the streams end at once
    principal, in_session, stateless = principal_with(), Ear(), Ear()
    session = sessions.find(sessions.begin("2025-06-18", {"roots": {}}, principal), principal)
    listen_in_session(second.server, principal, session, in_session)
    assert in_session.heard == [RESOURCES]  # it watches no resource
    call = CallContext(principal, None, 9, conversation=StatelessConversation(stateless, {CAPABILITIES_KEY: {}}, {}, {}))
    listen(second.server, call, {"notifications": {"resourcesListChanged": True, "resourceSubscriptions": ["note://a"]}})
    assert stateless.heard == ["notifications/subscriptions/acknowledged", RESOURCES, UPDATED]
