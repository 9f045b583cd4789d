"""Calls that go on as tasks: what their callers see, and what becomes of them when workers stop, die or are told to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from marshmallow import Schema

from mcp_server.concurrency import Places, pause
from mcp_server.deadline import Deadline
from mcp_server.errors import InsufficientScope, InternalError, InvalidParams, RateLimitExceeded, StoreUnavailable, ToolError
from mcp_server.mcp import jsonrpc, task_runner
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.asking import Elicitation, ListRoots, RequestStates, Sampling
from mcp_server.mcp.changes import Changes
from mcp_server.mcp.dispatcher import Delivery, Dispatcher
from mcp_server.mcp.eras import STATELESS
from mcp_server.mcp.methods import METHODS
from mcp_server.mcp.server import Server
from mcp_server.mcp.sessions import Sessions, owner_of
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.task_runner import LEASE, TaskRunner
from mcp_server.mcp.tasks import KEPT, MOST_UNFINISHED, TASKS, Tasks
from mcp_server.mcp.tool import Blocks, Tool, ToolRegistry
from mcp_server.principal import Principal

KEY = b"k" * 32
VERSION = "2026-07-28"
META = "io.modelcontextprotocol/"
TIMEOUT = 600
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
EVERYTHING = {"elicitation": {}, "sampling": {}, "roots": {}}
ALICE = {"action": "accept", "content": {"name": "Alice"}}
NEEDED = {"requiredCapabilities": {"extensions": {TASKS: {}}}}


class NoInput(Schema):
    pass


class WriteInput(Schema):
    text = Text(required=True)


class Write(Tool):
    """Waits until it is let go, then gives back the text."""

    name, title, description = "write", "Write", "Gives back the text."
    input_schema = WriteInput()
    as_task = "optional"

    def __init__(self) -> None:
        self.go, self.calls, self.stopped = Places(50), 0, 0

    def hold(self):
        while self.go.take(0):
            pass

    def run(self, call, *, text):
        self.calls += 1
        call.progress(1, 4, "Begun")
        try:
            self.go.take(10)
        except BaseException:
            self.stopped += 1
            raise
        return text


class Does(Tool):
    """Calls a function."""

    title, description = "Does", "Does something."
    input_schema = NoInput()

    def __init__(self, name, function, *, as_task="optional", prepare=None, scope="tools:execute") -> None:
        self.name, self.function, self.as_task, self.scope = name, function, as_task, scope
        self.prepare = prepare or super().prepare

    def run(self, call, **arguments):
        return self.function(call, **arguments)


def raising(error):
    def run(_):
        raise error

    return run


def asks(call):
    answers = call.ask_all({"who": Elicitation("Who?", NAME), "how": Sampling("How?", 10)})
    roots = call.ask("where", ListRoots())
    return f"{answers['who']['content']['name']} {answers['how']['content']['text']} {roots['roots']}"


def asks_first(call):
    return {"user": call.ask("user", Elicitation("Your name?", NAME))["content"]["name"]}


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def write():
    return Write()


@pytest.fixture
def tools(write):
    return [
        write,
        Does("quick", lambda _: "at once", as_task="never"),
        Does("required", lambda _: "done", as_task="required"),
        Does("refuses", raising(ToolError("No incident INC1. Ask for its number."))),
        Does("faulty", raising(InvalidParams("The URI is not one.", data={"uri": "x"}))),
        Does("limited", raising(RateLimitExceeded("Too many calls.", retry_after=7))),
        Does("breaks", raising(RuntimeError("secret: /etc/passwd"))),
        Does("blocks", lambda _: Blocks([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])),
        Does("asks", asks),
        Does("greets", lambda _, user: f"Hello, {user}", as_task="required", prepare=asks_first),
        Does("unprepared", lambda _: "never", prepare=raising(ToolError("Not today."))),
        Does("admin", lambda _: "yes", scope="tools:admin"),
    ]


class Worker:
    """One worker of a server, and its callers. `ended`: what the log was told."""

    def __init__(self, state, tools, clock, logged, *, most=8, store=None) -> None:
        self.switchboard, self.ended, self.revoked = Switchboard(state.journals, clock), [], set()
        registry = ToolRegistry(tools, 10_000)
        store = store or state.tasks
        self.runner = TaskRunner(
            store, registry, self.switchboard, clock, timeout=TIMEOUT, admitted=lambda ids: not self.revoked.intersection(ids),
            log_unexpected=logged, log_ended=self.ended.append, most=most)
        server = Server(
            "gateway", "Gateway", "1", "", registry, Sessions([KEY], state.sessions, clock), self.switchboard, RequestStates([KEY], clock),
            Changes(self.switchboard, clock), tasks=Tasks(store, self.runner, self.switchboard, clock, TIMEOUT))
        self.dispatcher = Dispatcher(METHODS, server, logged)
        self.server = server

    def send(self, method, params=None, *, principal=None, extension=True, capabilities=EVERYTHING, outlet=None, wait=True):
        params = params or {}
        declared = {**capabilities, **({"extensions": {TASKS: {}}} if extension else {})}
        meta = {f"{META}protocolVersion": VERSION, f"{META}clientCapabilities": declared}
        message = jsonrpc.parse(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}).encode())
        headers = {"MCP-Protocol-Version": VERSION, "Mcp-Method": method, "Mcp-Name": params.get("taskId") or params.get("name")}
        delivery = Delivery(principal or caller(), Deadline.after(10, lambda: 0.0), STATELESS, headers.get, outlet=outlet)
        reply = self.dispatcher.dispatch(message, delivery)
        if wait:
            settle()
        return json.loads(reply.body)

    def call(self, tool, /, *, settings=None, more=None, **arguments):
        return self.send("tools/call", {"name": tool, "arguments": arguments, **(more or {})}, **{"outlet": Outlet(), **(settings or {})})["result"]

    def begin(self, tool, /, **arguments):
        """The id of a task that was begun for the call."""
        return self.call(tool, **arguments)["taskId"]

    def get(self, task_id, **settings):
        return self.send("tasks/get", {"taskId": task_id}, **settings)["result"]

    def cancel(self, task_id, **settings):
        return self.send("tasks/cancel", {"taskId": task_id}, **settings)

    def update(self, task_id, answers, **settings):
        return self.send("tasks/update", {"taskId": task_id, "inputResponses": answers}, **settings)

    def tick(self):
        """What the background does, once."""
        self.switchboard.follow()
        self.runner.look()
        settle()


class Outlet:
    def __init__(self) -> None:
        self.sent = []

    def send(self, message):
        self.sent.append(message)

    def cancel(self):
        pass

    def hang_up(self):
        pass


def settle():
    """Let whatever runs beside go on until it waits."""
    for _ in range(20):
        pause(0)


def caller(subject="user", *scopes, client_id="client"):
    return Principal(client_id, subject, frozenset(scopes or ("tools:read", "tools:execute")), 4e9, ("jti", "grant"))


@pytest.fixture
def open_worker(state, tools, clock, logged):
    """open_worker() → another worker of the same server."""
    opened = []

    def open_one(**options):
        opened.append(Worker(state, tools, clock, logged, **options))
        return opened[-1]

    yield open_one
    for worker in opened:
        worker.runner.drain()
    settle()


@pytest.fixture
def worker(open_worker):
    return open_worker()


# --- beginning ---


@pytest.mark.requirement("TSK-001")
def test_a_call_of_a_client_that_follows_tasks_is_answered_with_the_handle_of_one(worker, write):
    write.hold()
    begun = worker.call("write", text="hello")
    task_id = begun.pop("taskId")
    assert len(task_id) == 32
    assert begun == {
        "resultType": "task", "status": "working", "createdAt": "1970-01-12T13:46:40.000Z", "lastUpdatedAt": "1970-01-12T13:46:40.000Z",
        "ttlMs": (TIMEOUT + KEPT) * 1000, "pollIntervalMs": 1000, "_meta": {f"{META}serverInfo": worker.server.info}}
    assert worker.get(task_id)["status"] == "working"


@pytest.mark.requirement("TSK-002")
def test_a_task_can_be_found_before_its_handle_is_told(worker, write):
    write.hold()
    task_id = worker.send("tools/call", {"name": "write", "arguments": {"text": "x"}}, wait=False)["result"]["taskId"]
    assert write.calls == 0
    assert worker.send("tasks/get", {"taskId": task_id}, wait=False)["result"]["taskId"] == task_id


@pytest.mark.requirement("TSK-007")
@pytest.mark.parametrize(("tool", "arguments"), [("write", {"text": "é\u2028 😀"}), ("refuses", {}), ("blocks", {})])
def test_a_completed_task_has_what_the_call_would_have_answered(worker, tool, arguments):
    answered = worker.call(tool, settings={"extension": False}, **arguments)
    del answered["_meta"]
    task = worker.get(worker.begin(tool, **arguments))
    assert (task["status"], task["resultType"], task["result"]) == ("completed", "complete", answered)
    assert not {"error", "inputRequests", "requestState", "statusMessage"} & task.keys()


@pytest.mark.requirement("TSK-007")
@pytest.mark.parametrize(("tool", "error"), [
    ("faulty", {"code": -32602, "message": "The URI is not one.", "data": {"uri": "x"}}),
    ("limited", {"code": -32603, "message": "Too many calls."}),
    ("breaks", {"code": -32603, "message": "The server could not do this. The failure is logged."}),
])
def test_a_task_that_met_a_protocol_error_has_failed_with_it(worker, logged, tool, error):
    task = worker.get(worker.begin(tool))
    assert (task["status"], task["error"], task["statusMessage"]) == ("failed", error, error["message"])
    assert "result" not in task
    assert [(str(failure), method) for failure, method in logged] == ([("secret: /etc/passwd", "tools/call")] if tool == "breaks" else [])


@pytest.mark.parametrize(("tool", "text"), [("write", "text: Missing data for required field."), ("unprepared", "Not today.")])
def test_what_cannot_be_begun_is_answered_at_once(worker, tool, text):
    result = worker.call(tool)
    assert (result["resultType"], result["isError"]) == ("complete", True)
    assert text in result["content"][0]["text"]


def test_a_tool_that_is_never_a_task_is_not(worker):
    assert worker.call("quick", more={"task": {"ttl": 1000}})["content"][0]["text"] == "at once"


@pytest.mark.requirement("TSK-003")
def test_without_the_extension_a_call_is_answered_in_its_request(worker):
    assert worker.call("write", settings={"extension": False}, text="hello")["content"][0]["text"] == "hello"


@pytest.mark.parametrize("declared", [True, [], "x", {TASKS: True}, {"com.example/other": {}}, None])
def test_an_extension_that_is_not_declared_as_an_object_is_not_declared(worker, declared):
    settings = {"extension": False, "capabilities": {"extensions": declared}}
    assert worker.call("write", settings=settings, text="hello")["resultType"] == "complete"


@pytest.mark.requirement("TSK-003")
def test_a_tool_that_is_always_a_task_needs_the_extension_and_is_not_run_without(worker):
    answer = worker.send("tools/call", {"name": "greets"}, extension=False)
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32021, NEEDED)
    assert worker.get(worker.begin("required"))["status"] == "completed"


# --- who may see one ---


@pytest.mark.requirement("TSK-004")
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
def test_without_the_extension_nothing_is_told_of_tasks(worker, method):
    answer = worker.send(method, {"taskId": worker.begin("write", text="x"), "inputResponses": {}}, extension=False)
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32021, NEEDED)


@pytest.mark.requirement("TSK-005")
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("stranger", [caller("somebody"), caller("user", client_id="other"), caller("ser", client_id="clientu")])
def test_a_task_of_another_caller_is_unknown(worker, write, method, stranger):
    write.hold()
    task_id = worker.begin("write", text="mine")
    theirs = worker.send(method, {"taskId": task_id, "inputResponses": {}}, principal=stranger)
    unknown = worker.send(method, {"taskId": "x" * 32, "inputResponses": {}}, principal=stranger)
    assert theirs["error"] == unknown["error"]
    assert theirs["error"]["code"] == -32602
    assert worker.get(task_id)["status"] == "working"


@pytest.mark.parametrize("task_id", ["x", "../../etc", "x" * 5000, "x" * 31 + "*", "x" * 32 + "\n", "é" * 32])
def test_an_id_that_never_was_is_unknown(worker, task_id):
    assert worker.send("tasks/get", {"taskId": task_id})["error"]["code"] == -32602


@pytest.mark.parametrize("params", [{}, {"taskId": None}, {"taskId": 1}, {"taskId": ["x"]}])
def test_a_task_id_is_a_string(worker, params):
    assert worker.send("tasks/get", params)["error"]["code"] == -32602


def test_a_task_needs_the_scope_of_its_tool(worker):
    task_id = worker.send("tools/call", {"name": "admin"}, principal=caller("user", "tools:execute", "tools:admin"))["result"]["taskId"]
    with pytest.raises(InsufficientScope):
        worker.get(task_id)
    assert worker.get(task_id, principal=caller("user", "tools:admin"))["status"] == "completed"


@pytest.mark.requirement("TSK-006")
def test_a_task_is_found_as_long_as_was_said(worker, clock):
    task_id = worker.begin("write", text="x")
    clock.now += TIMEOUT + KEPT - 0.01
    assert worker.get(task_id)["status"] == "completed"
    clock.now += 0.01
    assert worker.send("tasks/get", {"taskId": task_id})["error"]["code"] == -32602


def test_the_older_a_task_the_later_its_client_should_look_again(worker, write, clock):
    write.hold()
    task_id = worker.begin("write", text="x")
    told = []
    for seconds in (0, 4, 4, 8, 100):
        clock.now += seconds
        told.append(worker.get(task_id)["pollIntervalMs"])
    assert told == [1000, 1000, 2000, 4000, 5000]


# --- what is advertised ---


def test_the_extension_is_advertised_without_a_handshake_alone(worker):
    capabilities = worker.send("server/discover")["result"]["capabilities"]
    assert capabilities["extensions"] == {TASKS: {}}
    assert "tasks" not in capabilities
    assert "extensions" not in worker.server.capabilities


def test_where_no_tool_can_be_a_task_there_are_no_tasks(state, clock, logged):
    worker = Worker(state, [Does("quick", lambda _: "x", as_task="never")], clock, logged)
    assert "extensions" not in worker.send("server/discover")["result"]["capabilities"]
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        assert worker.send(method, {"taskId": "x" * 32})["error"]["code"] == -32601


@pytest.mark.requirement("TSK-012")
@pytest.mark.parametrize("method", ["tasks/result", "tasks/list"])
def test_methods_of_former_drafts_are_unknown(worker, method):
    assert worker.send(method, {"taskId": "x" * 32})["error"]["code"] == -32601


# --- questions ---


@pytest.mark.requirement("TSK-009")
def test_what_must_be_asked_first_is_asked_before_there_is_a_task(worker):
    asked = worker.call("greets")
    assert (asked["resultType"], list(asked["inputRequests"])) == ("input_required", ["user"])
    assert "taskId" not in asked
    begun = worker.call("greets", more={"inputResponses": {"user": ALICE}, "requestState": asked["requestState"]})
    assert (begun["resultType"], "requestState" in begun, "inputRequests" in begun) == ("task", False, False)
    assert worker.get(begun["taskId"])["result"]["content"][0]["text"] == "Hello, Alice"


def test_a_question_of_a_running_task_waits_for_its_caller(worker):
    task_id = worker.begin("asks")
    task = worker.get(task_id)
    assert task["status"] == "input_required"
    assert task["inputRequests"] == {
        "who": {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": NAME}},
        "how": {"method": "sampling/createMessage", "params": {
            "messages": [{"role": "user", "content": {"type": "text", "text": "How?"}}], "maxTokens": 10}}}
    assert worker.runner.running == 0


@pytest.mark.requirement("TSK-008")
def test_answers_may_come_one_by_one_and_to_any_worker(worker, open_worker):
    other, task_id = open_worker(), worker.begin("asks")
    assert worker.update(task_id, {"who": ALICE, "stray": 1})["result"].keys() == {"resultType", "_meta"}
    assert list(worker.get(task_id)["inputRequests"]) == ["how"]
    other.update(task_id, {"how": {"role": "assistant", "content": {"type": "text", "text": "so"}}, "who": {**ALICE, "content": {"name": "Eve"}}})
    assert list(worker.get(task_id)["inputRequests"]) == ["where"]
    worker.update(task_id, {"where": {"roots": []}})
    task = worker.get(task_id)
    assert (task["status"], task["result"]["content"][0]["text"]) == ("completed", "Alice so []")


@pytest.mark.parametrize("answer", [
    None, 1, "yes", {}, {"action": "perhaps"}, {"action": "accept", "content": {}}, {"action": "accept", "content": {"name": 1}}])
def test_an_answer_that_is_none_is_refused_and_the_question_stays_open(worker, answer):
    task_id = worker.begin("asks")
    refused = worker.update(task_id, {"how": {"content": {"type": "text", "text": "so"}}, "who": answer})
    assert refused["error"]["code"] == -32602
    assert "who" in refused["error"]["message"]
    assert list(worker.get(task_id)["inputRequests"]) == ["who", "how"]


@pytest.mark.parametrize("given", [None, [], "x", 1])
def test_answers_are_an_object(worker, given):
    assert worker.update(worker.begin("asks"), given)["error"]["code"] == -32602


def test_a_client_is_asked_only_what_it_can_answer(worker):
    task = worker.get(worker.call("asks", settings={"capabilities": {"elicitation": {}}})["taskId"])
    assert (task["status"], task["error"]["code"], task["error"]["data"]) == ("failed", -32021, {"requiredCapabilities": {"sampling": {}}})


def test_a_question_outlives_the_worker_that_asked_it(worker, open_worker):
    task_id = worker.begin("asks")
    worker.runner.drain()
    other = open_worker()
    other.update(task_id, {"who": ALICE, "how": {"content": {"type": "text", "text": "so"}}})
    other.update(task_id, {"where": {"roots": []}})
    assert other.get(task_id)["status"] == "completed"


# --- cancelling ---


def test_a_cancellation_at_any_worker_stops_the_work(worker, open_worker, write):
    write.hold()
    other, task_id = open_worker(), worker.begin("write", text="x")
    assert other.cancel(task_id)["result"].keys() == {"resultType", "_meta"}
    assert (other.get(task_id)["status"], write.stopped) == ("cancelled", 0)
    worker.switchboard.follow()
    settle()
    assert (write.stopped, worker.runner.running) == (1, 0)
    assert {"result", "error", "inputRequests"} & worker.get(task_id).keys() == set()


def test_a_cancellation_that_was_not_heard_is_seen_when_the_lease_is_renewed(worker, open_worker, write, clock, monkeypatch):
    write.hold()
    other, task_id = open_worker(), worker.begin("write", text="x")
    monkeypatch.setattr(other.switchboard, "publish", _cannot_publish)
    other.cancel(task_id)
    worker.tick()
    assert write.stopped == 0
    clock.now += task_runner.RENEWED
    worker.tick()
    assert write.stopped == 1


def _cannot_publish(*_):
    raise StoreUnavailable


def test_a_cancellation_before_anybody_listened_is_not_missed(worker, write):
    task_id = worker.send("tools/call", {"name": "write", "arguments": {"text": "x"}}, wait=False)["result"]["taskId"]
    worker.send("tasks/cancel", {"taskId": task_id}, wait=False)
    settle()
    assert (write.calls, worker.get(task_id)["status"]) == (0, "cancelled")


@pytest.mark.requirement("TSK-010")
def test_a_result_that_comes_after_the_cancellation_is_dropped(worker, write):
    write.hold()
    task_id = worker.begin("write", text="too late")
    worker.cancel(task_id)
    write.go.give_back()
    settle()
    assert worker.get(task_id)["status"] == "cancelled"
    assert "too late" not in json.dumps(worker.get(task_id))


@pytest.mark.requirement("TSK-010")
def test_cancelling_what_has_ended_is_acknowledged_and_changes_nothing(worker):
    task_id = worker.begin("write", text="done")
    for _ in range(2):
        assert "result" in worker.cancel(task_id)
    assert worker.get(task_id)["status"] == "completed"


def test_a_task_that_asks_can_be_cancelled(worker):
    task_id = worker.begin("asks")
    worker.cancel(task_id)
    task = worker.get(task_id)
    assert (task["status"], "inputRequests" in task) == ("cancelled", False)
    worker.update(task_id, {"who": ALICE})
    assert worker.get(task_id)["status"] == "cancelled"


def test_a_task_whose_credential_is_revoked_is_stopped(worker, write):
    write.hold()
    task_id = worker.begin("write", text="x")
    worker.revoked.add("grant")
    worker.tick()
    task = worker.get(task_id)
    assert (task["status"], task["statusMessage"]) == ("cancelled", "The access under which it was begun was revoked.")
    assert (write.stopped, worker.ended[0]["status"]) == (1, "cancelled")


# --- workers that come and go ---


def test_a_worker_that_stops_gives_its_tasks_to_another(worker, open_worker, write):
    write.hold()
    task_id = worker.begin("write", text="taken over")
    worker.runner.drain()
    settle()
    assert (write.stopped, worker.runner.running) == (1, 0)
    other = open_worker()
    other.tick()
    write.go.give_back()
    settle()
    assert other.get(task_id)["result"]["content"][0]["text"] == "taken over"
    assert other.ended[0]["tries"] == 1


def test_a_worker_that_stops_begins_nothing_more(worker, open_worker, write):
    worker.runner.drain()
    task_id = worker.begin("write", text="x")
    worker.tick()
    assert (write.calls, worker.get(task_id)["status"]) == (0, "working")
    open_worker().tick()
    assert worker.get(task_id)["status"] == "completed"


def test_a_task_is_taken_over_when_its_worker_says_nothing_any_more(worker, open_worker, write, clock):
    write.hold()
    other, task_id = open_worker(), worker.begin("write", text="x")
    clock.now += LEASE - 0.01
    other.tick()
    assert (other.runner.running, write.calls) == (0, 1)
    clock.now += 0.01
    other.tick()
    assert (other.runner.running, write.calls) == (1, 2)
    write.go.give_back()  # the first one wakes, as after a long sleep: its result counts for nothing
    settle()
    assert other.get(task_id)["status"] == "working"
    write.go.give_back()
    settle()
    assert other.get(task_id)["status"] == "completed"
    assert (worker.ended, len(other.ended)) == ([], 1)


def test_a_task_that_its_worker_has_yet_to_begin_is_nobody_elses(worker, open_worker, monkeypatch):
    other = open_worker()
    monkeypatch.setattr(task_runner, "spawn", lambda _run: lambda: None)  # its turn has not come
    worker.begin("write", text="x")
    other.tick()
    assert (worker.runner.running, other.runner.running) == (1, 0)


def test_a_worker_that_lives_keeps_its_task(worker, open_worker, write, clock):
    write.hold()
    other, _ = open_worker(), worker.begin("write", text="x")
    for _ in range(10):
        clock.now += LEASE / 3
        worker.tick()
        other.tick()
    assert (worker.runner.running, other.runner.running, write.calls) == (1, 0, 1)


def test_a_worker_that_lost_its_task_stops_working_on_it(worker, open_worker, write, clock):
    write.hold()
    other, _ = open_worker(), worker.begin("write", text="x")
    clock.now += LEASE
    other.tick()
    worker.tick()
    assert (write.stopped, worker.runner.running, other.runner.running) == (1, 0, 1)


def test_a_task_under_which_workers_die_is_given_up(worker, open_worker, write, clock):
    write.hold()
    task_id = worker.begin("write", text="deadly")
    for _ in range(3):
        clock.now += LEASE
        last = open_worker()
        last.tick()
    task = last.get(task_id)
    assert (task["status"], task["error"]["code"], write.calls) == ("failed", -32603, 3)
    assert "3 times" in task["statusMessage"]


def test_an_outcome_survives_a_store_that_is_away_for_a_while(open_worker, state, monkeypatch):
    waited = []
    monkeypatch.setattr(task_runner, "pause", waited.append)
    worker = open_worker(store=Flaky(state.tasks, failures=3))
    task_id = worker.begin("write", text="kept")
    assert worker.get(task_id)["result"]["content"][0]["text"] == "kept"
    assert waited == [1.0] * 3


class Flaky:
    """A store that does not take an outcome at first."""

    def __init__(self, store, failures) -> None:
        self._store, self._failures = store, failures

    def __getattr__(self, name):
        return getattr(self._store, name)

    def finish(self, *args, **kwargs):
        if self._failures:
            self._failures -= 1
            raise StoreUnavailable
        return self._store.finish(*args, **kwargs)


# --- bounds ---


def test_a_worker_runs_so_many_at_once_and_the_next_when_one_has_ended(open_worker, write):
    write.hold()
    worker = open_worker(most=2)
    ids = [worker.begin("write", text=str(number)) for number in range(4)]
    worker.tick()
    assert (worker.runner.running, write.calls) == (2, 2)
    for ended in range(1, 5):
        write.go.give_back()
        settle()
        assert [worker.get(task_id)["status"] for task_id in ids].count("completed") == ended
    assert write.calls == 4


def test_who_has_too_many_tasks_is_answered_in_the_request_where_that_can_be(open_worker):
    worker = open_worker(most=0)
    for _ in range(MOST_UNFINISHED):
        worker.send("tools/call", {"name": "refuses"}, wait=False)
    assert worker.call("write", text="now")["content"][0]["text"] == "now"
    refused = worker.call("required")
    assert (refused["resultType"], refused["isError"]) == ("complete", True)
    assert "Wait for one of them, or cancel one" in refused["content"][0]["text"]
    assert worker.call("write", settings={"principal": caller("somebody")}, text="x")["resultType"] == "task"


def test_work_that_does_not_end_is_ended(worker, write, monkeypatch):
    monkeypatch.setattr(task_runner, "GRACE", 0.0)
    monkeypatch.setattr(worker.runner, "_timeout", 0.0)
    write.hold()
    task_id = worker.begin("write", text="x")
    pause(0.01)
    task = worker.get(task_id)
    assert (task["status"], task["result"]["isError"], write.stopped) == ("completed", True, 1)


# --- how far it is ---


def test_what_a_tool_reports_is_the_message_of_its_task(worker, write):
    write.hold()
    assert worker.get(worker.begin("write", text="x"))["statusMessage"] == "Begun"


def test_reports_are_written_once_a_second_at_most(state, clock, logged):
    told = []

    def run(call):
        for step in range(1, 10):
            clock.now += 0.25
            call.progress(step, 9)
            told.append(state.tasks.find(task_id, owner_of(caller()), clock()).message)
        return "done"

    worker = Worker(state, [Does("steps", run)], clock, logged)
    task_id = worker.send("tools/call", {"name": "steps"}, wait=False)["result"]["taskId"]
    settle()
    assert told == ["1 of 9"] * 4 + ["5 of 9"] * 4 + ["9 of 9"]


def test_a_client_can_listen_to_its_tasks(worker, open_worker, write):
    write.hold()
    task_id, foreign = worker.begin("write", text="hello"), worker.send(
        "tools/call", {"name": "asks"}, principal=caller("somebody"))["result"]["taskId"]
    listener, outlet = open_worker(), Outlet()
    listener.server.changes.wait = lambda _: _until_it_ends(worker, listener, write)
    listener.send("subscriptions/listen", {"notifications": {"taskIds": [task_id, foreign, "x", 1, task_id]}}, outlet=outlet)
    acknowledged, *told = [(message["method"], message["params"]) for message in outlet.sent]
    assert acknowledged[1]["notifications"] == {"taskIds": [task_id]}
    assert {method for method, _ in told} == {"notifications/tasks"}
    assert [task["status"] for _, task in told] == ["working", "completed"]
    assert all(task["_meta"] == {f"{META}subscriptionId": 1} for _, task in told)
    expected = {name: value for name, value in worker.get(task_id).items() if name not in ("_meta", "resultType")}
    assert {name: value for name, value in told[-1][1].items() if name != "_meta"} == expected


def _until_it_ends(worker, listener, write):
    write.go.give_back()
    settle()
    listener.switchboard.follow()


@pytest.mark.requirement("TSK-011")
@pytest.mark.parametrize("task_ids", [["x"], [], "x"])
def test_listening_to_tasks_needs_the_extension(worker, task_ids):
    answer = worker.send("subscriptions/listen", {"notifications": {"taskIds": task_ids}}, extension=False, outlet=Outlet())
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32021, NEEDED)


# --- what is kept, and what is told ---


def test_nothing_is_stored_that_opens_anything(worker, write, state, clock):
    write.hold()
    secretive = replace(caller(), token_id="jti", grant_id="grant")
    task_id = worker.send("tools/call", {"name": "write", "arguments": {"text": "x"}}, principal=secretive)["result"]["taskId"]
    work = json.loads(state.tasks.find(task_id, owner_of(secretive), clock()).work)
    assert work.keys() == {"arguments", "prepared", "capabilities", "client_id", "subject", "scopes", "revocable_ids"}


def test_the_log_is_told_how_a_task_ended_and_nothing_of_what_was_in_it(worker, write, clock):
    write.hold()
    task_id, other_id = worker.begin("write", text="confidential"), worker.begin("write", text="confidential too")
    clock.now += 2.5
    write.go.give_back()
    settle()
    worker.cancel(other_id)
    first = {"task_id": task_id, "tool": "write", "status": "completed", "tries": 1, "client_id": "client", "user_id": "user", "duration_ms": 2500}
    assert worker.ended == [first, {**first, "task_id": other_id, "status": "cancelled"}]


def test_an_error_of_the_tool_s_own_is_what_its_caller_reads(state, clock, logged):
    worker = Worker(state, [Does("job", raising(InternalError("The job broke.")))], clock, logged)
    task = worker.get(worker.begin("job"))
    assert (task["status"], task["error"]) == ("failed", {"code": -32603, "message": "The job broke."})
    assert logged == []
