from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mcp_server import __version__
from supply_chain.locked import DEVELOPMENT, FILES, ROOT, locked, required

ALL = (*FILES, DEVELOPMENT)


@pytest.mark.parametrize("file", ALL)
def test_the_lock_has_the_versions_that_the_requirements_name(file):
    versions = {package.name: package.version for package in locked(file) if package.applies}
    asked = {canonicalize_name(requirement.name): str(requirement.specifier) for requirement in required(file)}
    assert {name: f"=={versions.get(name)}" for name in asked} == asked, "Run bin/lock."


@pytest.mark.parametrize("file", ALL)
def test_every_locked_package_has_the_hashes_of_its_files(file):
    assert [package.name for package in locked(file) if not package.hashes] == []


@pytest.mark.parametrize("file", ALL)
def test_what_is_in_two_locks_is_the_same_version_in_both(file):
    production = {package.name: package.version for package in locked("requirements") if package.applies}
    assert [package for package in locked(file) if package.applies and package.version != production.get(package.name, package.version)] == []


@pytest.mark.parametrize("file", ALL)
def test_the_lock_has_all_that_the_installed_packages_need_and_nothing_else(file):
    assert {package.name for package in locked(file) if package.applies} == needed(file), "Run bin/lock."


@pytest.mark.parametrize("file", ALL)
def test_what_is_installed_here_is_what_is_locked(file):
    here = {package.name: importlib.metadata.version(package.name) for package in locked(file) if package.applies}
    assert here == {package.name: package.version for package in locked(file) if package.applies}


def test_every_requirements_file_has_its_lock():
    assert {path.stem for path in ROOT.glob("requirements*.txt")} == {path.stem for path in ROOT.glob("requirements*.lock")} == set(ALL)


@pytest.mark.parametrize("file", FILES)
def test_nothing_that_is_locked_must_be_compiled_where_it_is_installed(file):
    """A wheel from the index says manylinux; one that pip has built here says linux."""
    wheels = {package.name: importlib.metadata.distribution(package.name).read_text("WHEEL") for package in locked(file) if package.applies}
    assert [name for name, said in wheels.items() if "-linux_" in said] == []


def test_pip_refuses_a_lock_whose_hash_is_another_than_that_of_the_file(tmp_path):
    """What `--require-hashes` is for; nothing is asked of an index."""
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not what was locked")
    (tmp_path / "wrong.lock").write_text(f"thing @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    told = install("--no-index", "--require-hashes", "-r", str(tmp_path / "wrong.lock"))
    assert told.returncode != 0
    assert "DO NOT MATCH THE HASHES" in told.stderr


def test_an_installation_takes_the_lock_with_its_hashes():
    said = (ROOT / "bin/environment.sh").read_text()
    assert re.search(r"--only-binary :all: --require-hashes -r \"\$\{1%\.txt\}\.lock\"", said)
    assert "install_requirements requirements.txt" in (ROOT / "bin/serve").read_text()
    assert "install_requirements requirements-dev.txt" in (ROOT / "bin/test").read_text()
    for file in ("bin/upgrade", "deploy/Dockerfile"):
        installs = [line for line in (ROOT / file).read_text().splitlines() if "pip install" in line]
        assert installs
        assert all("--only-binary :all: --require-hashes -r " in line and "requirements.lock" in line for line in installs)


def test_the_environments_of_clients_are_pinned():
    """Without hashes: clients run in tests alone, and each environment would need a lock of some hundred lines to be kept."""
    asked = {path.name: _lines(path) for path in (ROOT / "tests/clients/environments").glob("*.txt")}
    assert len(asked) > 2
    assert [line for lines in asked.values() for line in lines if not re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+", line)] == []


def _lines(path):
    return [line for said in path.read_text().splitlines() if (line := said.partition(" #")[0].strip()) and not line.startswith("#")]


def test_the_version_is_the_same_everywhere():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert re.fullmatch(rf"Unreleased \({re.escape(__version__)}\)|{re.escape(__version__)} - 20\d\d-\d\d-\d\d", newest)


def install(*arguments):
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--disable-pip-version-check", "--no-cache-dir", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def needed(file):
    """Every package that is needed, by the metadata of what is installed, with the extras that somebody asked for."""
    seen, waiting = set(), [(canonicalize_name(asked.name), frozenset(asked.extras)) for asked in required(file)]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for line in importlib.metadata.requires(name) or ():
            asked = Requirement(line)
            if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((canonicalize_name(asked.name), frozenset(asked.extras)))
    return {name for name, _ in seen}
