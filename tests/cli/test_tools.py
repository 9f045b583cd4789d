from __future__ import annotations


def test_tools_are_listed_as_clients_see_them(run):
    assert {tool["name"] for tool in run("tools", "list", "--json").json} >= {"classify_incident", "echo"}
    assert "short_description, [description]" in run("tools", "list").out


def test_a_tool_is_called_without_a_server_and_prints_only_its_answer(run):
    assert run("tools", "call", "echo", "message=a=b").out == "a=b\n"


def test_values_are_strings_as_servicenow_sends_them(run):
    answered = run("tools", "call", "classify_incident", "short_description=VPN", "categories=network,email", "--json").json
    assert answered["structuredContent"]["category"] == "unknown"
    assert not answered["isError"]


def test_a_failing_tool_says_so_on_stderr_and_in_the_status(run):
    failed = run("tools", "call", "echo")
    assert (failed.status, failed.out) == (1, "")
    assert "message" in failed.err


def test_an_unknown_tool_is_an_error_in_words(run):
    failed = run("tools", "call", "nothing")
    assert failed.status == 1
    assert "Unknown tool" in failed.err


def test_an_argument_without_a_value_is_refused(run):
    assert run("tools", "call", "echo", "message").status == 2
