"""Settings whose values are in a manager: asked for by the real client libraries, of managers on loopback."""

from __future__ import annotations

import json
import os
import sys
import time

import pytest

from config import secret_references
from config.secret_references import Fetched, Kept, fetch, is_reference, parse
from config.settings import ConfigurationError, Settings
from tests.secret_managers import Amazon, Azure, Google, Vault
from tests.tls import Authority

VALUE, FORMER = "kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe", "Rw3yTb6nMk9pLq2vXs5cZd8fGh1jAe4u"
OTHERS = {"DCR_AUTH_TOKEN": "Zt5uXw0Qy8rKo3mNb7vGc2hLd9sFj4eI"}
MACHINE = {"PATH": os.environ["PATH"]}


@pytest.fixture(scope="module")
def managers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("managers")
    google, amazon, vault, authority = Google(), Amazon(), Vault(), Authority(folder)
    azure = Azure(authority)
    google.secrets["acme/jwt"] = azure.secrets["jwt"] = [FORMER, VALUE]
    google.secrets["acme/json"] = azure.secrets["json"] = [json.dumps({"jwt": VALUE, "number": 5})]
    vault.secrets |= {"gateway": [{"jwt": FORMER, "other": "x"}, {"jwt": VALUE, "other": "x"}], "single": [{"value": VALUE}]}
    versions = amazon.put("prod/jwt", FORMER, VALUE)
    amazon.put("json", json.dumps({"jwt": VALUE}))
    environ = {**MACHINE, **google.environ(folder), **amazon.environ(), **vault.environ(), **azure.environ(folder / "authority.pem")}
    yield {"environ": environ, "azure": azure.port, "aws": versions, "vault": vault}
    for each in (google, amazon, vault, azure):
        each.stop()


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(secret_references, "KEPT", Kept())


def test_each_manager_gives_the_latest_version_a_pinned_one_and_a_member(managers):
    azure, (first, _) = f"azure-kv://localhost:{managers['azure']}", managers["aws"]
    expected = {
        "gcp-sm://acme/jwt": VALUE, "gcp-sm://acme/jwt?version=1": FORMER, "gcp-sm://projects/acme/secrets/jwt/versions/1": FORMER,
        "gcp-sm://acme/json#jwt": VALUE,
        "aws-sm://prod/jwt": VALUE, f"aws-sm://prod/jwt?version={first}": FORMER, "aws-sm://prod/jwt?stage=AWSPREVIOUS": FORMER,
        "aws-sm://json#jwt": VALUE,
        f"{azure}/jwt": VALUE, f"{azure}/jwt?version=1": FORMER, f"{azure}/jwt/1": FORMER, f"{azure}/json#jwt": VALUE,
        "vault://secret/gateway#jwt": VALUE, "vault://secret/gateway?version=1#jwt": FORMER, "vault://secret/single": VALUE,
    }
    found = fetch(list(expected), managers["environ"])
    assert {text: each.problem for text, each in found.items() if each.problem} == {}
    assert {text: each.value for text, each in found.items()} == expected
    assert all(each.version for each in found.values())
    assert found["gcp-sm://acme/jwt"].version == "2"


def test_what_is_not_there_or_not_allowed_is_a_problem_in_words_and_shows_no_value(managers):
    azure = f"azure-kv://localhost:{managers['azure']}"
    said = {
        "gcp-sm://acme/none": "not found", "aws-sm://none": "ResourceNotFoundException", f"{azure}/none": "not found",
        "vault://secret/none": "InvalidPath",
        "gcp-sm://acme/json#none": "no text that is called none", "gcp-sm://acme/json#number": "no text that is called number",
        "gcp-sm://acme/jwt#x": "no JSON object", "vault://secret/gateway": "add #NAME",
        "vault://alone": "MOUNT/PATH", "gcp-sm://alone": "PROJECT/SECRET",
        "aws-sm://x?versions=1": "version at most", "vault://secret/x?version=one": "ValueError",
    }
    found = fetch(list(said), managers["environ"])
    for text, words in said.items():
        assert words in found[text].problem, (text, found[text])
        assert found[text].value == ""
        assert VALUE not in found[text].problem


def test_vault_is_opened_by_an_approle_too(managers):
    without_token = {name: value for name, value in managers["environ"].items() if name != "VAULT_TOKEN"}
    for secret_id, opened in (("secret", True), ("wrong", False)):
        found = fetch(["vault://secret/single"], {**without_token, "VAULT_ROLE_ID": "role", "VAULT_SECRET_ID": secret_id, "HOME": "/nowhere"})
        assert (found["vault://secret/single"].value == VALUE) is opened


def test_a_manager_that_says_nothing_is_not_waited_for_and_the_others_count(managers, monkeypatch):
    silent = Vault()
    silent.silent.set()
    began = time.monotonic()
    found = fetch(["vault://secret/single", "aws-sm://json#jwt"], {**managers["environ"], **silent.environ()}, timeout=4.5)
    silent.stop()
    assert found["vault://secret/single"].problem == "no answer within 4.5 seconds."
    assert found["aws-sm://json#jwt"].value == VALUE
    assert time.monotonic() - began < 4.5 + secret_references.STARTING


@pytest.mark.parametrize(("scheme", "module", "package"), [
    ("gcp-sm", "google.cloud", "google-cloud-secret-manager"), ("aws-sm", "boto3", "boto3"), ("azure-kv", "azure", "azure-keyvault-secrets"),
    ("vault", "hvac", "hvac")])
def test_a_library_that_is_not_installed_is_named_with_the_command(tmp_path, scheme, module, package, monkeypatch):
    (tmp_path / "without.py").write_text(f"import sys\nsys.modules[{module!r}] = None\nfrom config.secret_managers import main\nmain()\n")
    monkeypatch.setattr(secret_references, "FETCH", (sys.executable, str(tmp_path / "without.py")))
    text = f"{scheme}://a/b"
    problem = fetch([text], {**MACHINE, "VAULT_ADDR": "http://127.0.0.1:1"})[text].problem
    assert package in problem
    assert "pip install -r requirements-secrets.txt" in problem


# --- in the settings ---


class Managers:
    """What the fetching process would answer: text → value, or an exception's text."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def __call__(self, references, _environ):
        self.asked.append(sorted(references))
        return {text: Fetched(self.answers[text], "7") if text in self.answers else Fetched("", problem="it is away.") for text in references}


@pytest.fixture
def manager(monkeypatch):
    built = Managers(**{"vault://s/jwt": VALUE, "vault://s/old": FORMER, "vault://s/db": "postgresql://u:p%2C1@h/n", "vault://s/short": "short"})
    monkeypatch.setattr(secret_references, "fetch", built)
    return built


def settings(*, renew=False, **environ):
    return Settings.from_environ({**OTHERS, "JWT_SECRET": "vault://s/jwt", **environ}, renew=renew)


def test_every_secret_setting_takes_a_reference_and_all_are_asked_for_at_once(manager):
    found = settings(JWT_SECRET_PREVIOUS="vault://s/old, Tb6nMk9pLq2vXs5cZd8fGh1jAe4uRw3y", DATABASE_URL="vault://s/db")
    assert found.jwt_secret == VALUE
    assert found.jwt_secret_previous == (FORMER, "Tb6nMk9pLq2vXs5cZd8fGh1jAe4uRw3y")
    assert found.database_url == "postgresql+psycopg://u:p%2C1@h/n"
    assert manager.asked == [["vault://s/db", "vault://s/jwt", "vault://s/old"]]


def test_a_reference_may_stand_in_a_file_and_in_a_credential(manager, tmp_path):
    (tmp_path / "JWT_SECRET").write_text("vault://s/jwt\n")
    assert settings(JWT_SECRET="", JWT_SECRET_FILE=str(tmp_path / "JWT_SECRET")).jwt_secret == VALUE
    assert settings(JWT_SECRET="", CREDENTIALS_DIRECTORY=str(tmp_path)).jwt_secret == VALUE


def test_what_is_no_secret_is_not_looked_up(manager):
    with pytest.raises(ConfigurationError, match="PORT must be"):
        settings(PORT="vault://s/port")
    assert manager.asked == [["vault://s/jwt"]]
    assert settings(DEFAULT_LLM_MODEL="vault://s/jwt").default_llm_model == "vault://s/jwt"  # it would be shown


def test_all_problems_are_told_together_and_no_value_is_in_them(manager):
    with pytest.raises(ConfigurationError) as refused:
        settings(DCR_AUTH_TOKEN="vault://s/none", MCP_API_KEY="vault://s/short", PORT="http")
    assert [problem.split()[0] for problem in refused.value.problems] == ["PORT", "DCR_AUTH_TOKEN", "MCP_API_KEY"]
    assert "DCR_AUTH_TOKEN is vault://s/none, which could not be fetched: it is away." in str(refused.value)
    assert VALUE not in str(refused.value)


def test_a_process_asks_once_and_again_only_when_it_is_told_to(manager):
    settings()
    settings()
    assert len(manager.asked) == 1
    manager.answers["vault://s/jwt"] = FORMER
    assert settings().jwt_secret == VALUE
    assert settings(renew=True).jwt_secret == FORMER
    assert len(manager.asked) == 2


def test_when_it_is_asked_again_and_the_manager_is_away_the_known_value_stays(manager):
    settings()
    manager.answers.clear()
    assert settings(renew=True).jwt_secret == VALUE
    results = [access["result"] for access in secret_references.KEPT.told()]
    assert results == ["fetched", "kept: it is away."]


def test_each_access_is_told_once_by_name_reference_and_version_without_its_value(manager):
    settings(MCP_API_KEY="vault://s/jwt", DATABASE_URL="sqlite:///x.db")
    told = secret_references.KEPT.told()
    assert told == [{"name": name, "reference": "vault://s/jwt", "version": "7", "result": "fetched"} for name in ("JWT_SECRET", "MCP_API_KEY")]
    assert secret_references.KEPT.told() == []
    assert VALUE not in repr(secret_references.KEPT._fetched)


@pytest.mark.parametrize(("value", "expected"), [
    ("vault://a/b#c", True), ("aws-sm://x", True), ("redis://h/0", False), ("postgresql://u@h/n", False), ("vault:/a", False),
    ("x vault://a/b", False)])
def test_only_what_looks_like_one_is_a_reference(value, expected):
    assert is_reference(value) is expected


def test_an_arn_is_a_name():
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/jwt-AbCdEf"
    assert parse(f"aws-sm://{arn}#jwt").secret == arn
