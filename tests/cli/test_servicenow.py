from __future__ import annotations

import pytest

PASSWORD = "correct horse battery"
INSTANCE = "https://dev12345.service-now.com"
STEPS = 14


@pytest.fixture
def simulate(machine):
    def simulate(*arguments, **changes):
        return machine.run("servicenow", "simulate", "--json", *arguments, **changes)

    return simulate


def last(outcome):
    return outcome.json["steps"][-1]


def test_every_step_passes_against_a_running_server_and_nothing_is_left_behind(machine, simulate):
    with machine.serving():
        done = simulate()
    assert done.status == 0, done.out
    assert done.json["passed"]
    assert [step["status"] for step in done.json["steps"]] == [401, 200, 200, 201, 303, 200, 200, 202, 200, 200, 200, 200, 200, 401]
    assert "stand-in-for-plumbing-tests" in done.json["steps"][9]["said"]
    built = machine.services
    assert (built.users.all(), built.clients.all()) == ([], [])


def test_people_read_one_line_a_step_and_the_verdict(machine):
    with machine.serving():
        done = machine.run("servicenow", "simulate", f"{machine.url}/mcp")
    assert sum(" ms  " in line for line in done.out.splitlines()) == STEPS
    assert "a temporary user that is removed" in done.out
    assert "127.0.0.1/…" in done.out
    assert done.out.endswith(f"All {STEPS} steps passed.\n")


def test_a_configured_instance_is_played(machine, simulate):
    with machine.serving(SERVICENOW_INSTANCE=INSTANCE):
        done = simulate(SERVICENOW_INSTANCE=INSTANCE)
    assert done.status == 0, done.out
    assert INSTANCE in done.json["steps"][4]["said"]


def test_a_person_of_the_server_can_sign_in(machine, simulate):
    machine.run("users", "add", "jo", "--password-stdin", input=f"{PASSWORD}\n")
    with machine.serving():
        done = simulate("--username", "jo", "--password", PASSWORD)
    assert done.status == 0, done.out
    assert not any("temporary" in note for note in done.json["notes"])
    assert [user.username for user in machine.services.users.all()] == ["jo"]


def test_the_automatic_mode_needs_nobody(machine, simulate):
    with machine.serving(AUTHORIZATION_MODE="auto"):
        done = simulate()
    assert done.status == 0, done.out
    assert not any("temporary" in note for note in done.json["notes"])


def test_a_server_behind_a_public_address_is_tried_at_its_local_one(machine, simulate):
    with machine.serving(OAUTH_ISSUER="https://mcp.example.com"):
        done = simulate(machine.url)
    assert done.status == 0, done.out
    assert any("https://mcp.example.com/mcp" in note for note in done.json["notes"])


def test_a_server_that_does_not_run_is_said_so(simulate):
    failed = simulate()
    assert (failed.status, last(failed)["number"]) == (1, 1)
    assert "bin/serve" in failed.json["next_step"]


def test_a_wrong_registration_token_is_explained(machine, simulate):
    with machine.serving(DCR_AUTH_TOKEN="Qx7cVb1nMl4kJh8gFd2sAp6oIu3yTr9e"):
        failed = simulate()
    assert (failed.status, last(failed)["step"], last(failed)["status"]) == (1, "registration", 401)
    assert "another DCR_AUTH_TOKEN" in failed.json["next_step"]


def test_switched_off_registration_is_explained(machine, simulate):
    with machine.serving(DCR_MODE="off"):
        failed = simulate()
    assert (failed.status, last(failed)["step"]) == (1, "registration")
    assert "DCR_MODE=token" in failed.json["next_step"]


def test_a_refused_redirect_host_names_the_setting(machine, simulate):
    with machine.serving():
        failed = simulate("--instance", "https://elsewhere.example.com")
    assert last(failed)["status"] == 400
    assert "DCR_ALLOWED_REDIRECT_HOSTS" in last(failed)["said"]


def test_a_wrong_password_is_explained_and_the_client_is_removed(machine, simulate):
    with machine.serving():
        failed = simulate("--username", "nobody", "--password", "wrong")
    assert (failed.status, last(failed)["step"]) == (1, "sign-in and consent")
    assert "not right" in last(failed)["said"]
    assert machine.services.clients.all() == []


def test_a_server_with_another_database_needs_a_name_to_sign_in_with(machine, simulate, tmp_path):
    with machine.serving():
        failed = simulate(DATABASE_URL=f"sqlite:///{tmp_path}/other.db")
    assert last(failed)["step"] == "sign-in and consent"
    assert "--username" in failed.json["next_step"]
    assert any("flask clients revoke" in note for note in failed.json["notes"])


@pytest.mark.parametrize("tool", ["classify_incident", "llm_generate", "echo", "server_status"])
def test_every_tool_of_the_server_can_be_tried_by_its_name_alone(machine, simulate, tool):
    with machine.serving():
        assert simulate("--tool", tool).json["passed"]


def test_a_tool_that_is_not_there_fails_with_those_that_are(machine, simulate):
    with machine.serving():
        failed = simulate("--tool", "nothing")
    assert last(failed)["step"] == "tools/list"
    assert "classify_incident" in last(failed)["said"]
    assert machine.services.users.all() == []


def test_a_tool_that_refuses_is_a_failed_step_with_its_own_words(machine, simulate):
    with machine.serving():
        failed = simulate("--tool", "echo", "--argument", "wrong=1")
    assert last(failed)["step"] == "tools/call"
    assert "message" in last(failed)["said"]


@pytest.mark.parametrize("url", ["nonsense", "ftp://example.com", "http://example.com/other", "http://"])
def test_what_is_no_address_is_refused(simulate, url):
    assert simulate(url).status == 2


def test_the_form_values_are_those_of_the_metadata(machine, run):
    forms = run("servicenow", "connect", "--json").json
    assert forms["dynamic_registration"]["MCP Server URL"] == f"{machine.url}/mcp"
    assert forms["manual_registration"]["Token URL"] == machine.services.metadata["token_endpoint"]
    assert forms["dynamic_registration"]["Auth scopes"] == "tools:read,tools:execute"


def test_the_form_names_the_redirect_uris_of_each_instance(run):
    forms = run("servicenow", "connect", "--json", SERVICENOW_INSTANCE=INSTANCE).json
    assert forms["redirect_uris"]["allow"] == [f"{INSTANCE}/oauth_redirect.do", f"{INSTANCE}/mcp_redirect.do"]


def test_secrets_are_in_the_form_only_when_asked_for(machine, run):
    token = machine.environ["DCR_AUTH_TOKEN"]
    assert token not in run("servicenow", "connect").out
    assert f"Bearer {token}" in run("servicenow", "connect", "--show-token").out


def test_the_form_says_when_registration_is_off(run):
    assert "DCR_MODE=off" in run("servicenow", "connect", DCR_MODE="off").out
