"""What the documents tell people to type: shell blocks, commands in their sentences, names of settings."""

from __future__ import annotations

import ast
import re
import shlex

import click

from config.settings import rows
from mcp_server.cli.groups import COMMANDS
from tests.running import ROOT

DOCUMENTS = [*(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").glob("*.md")),
             *sorted((ROOT / "deploy").rglob("*.md"))]
BLOCKS = [(path, number, block) for path in DOCUMENTS
          for number, block in enumerate(re.findall(r"^```bash\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL))]
FLASK = click.Group("flask", commands={command.name: command for command in COMMANDS})
SEPARATORS = {"|", "||", "&&", ";", "&"}
INSTALLED = "mcp-server"
"""The name under which bin/install puts `flask` on the machine."""
NAMES = {name for row in rows() for name in row.names}


def inline(text):
    """What stands between backticks, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def commands(text):
    """Each command of a shell text as its words, without sudo, a folder before the name, and assignments."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in SEPARATORS:
                words.append(word)
                continue
            while words and (words[0] in {"sudo", "exec", "env"} or re.fullmatch(r"[A-Z_]+=.*", words[0])):
                words.pop(0)
            if words:
                yield words
            words = []


def ours(text):
    """The arguments of each call of `flask`, however it is named, and of each script in bin/."""
    for words in commands(text):
        if words[0] in {"flask", ".venv/bin/flask", INSTALLED}:
            yield "flask", words[1:]
        elif words[0].startswith("bin/"):
            yield words[0], words[1:]


def complaint(words):
    """Why these arguments of `flask` would be refused, by what the commands say of themselves."""
    command, rest = FLASK, [word.rstrip(",.:") for word in words]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return f"{command.name} has no command {name}"
        command = command.commands[name]
    known = {"--help"} | {option for parameter in command.params for option in parameter.opts}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{command.name} has no option {unknown[0]}" if unknown else ""


def texts_of_the_code():
    """Every text of the code. Parts that stand side by side are one; a value in an f-string is an ellipsis."""
    for path in (ROOT / "mcp_server").rglob("*.py"):
        tree = ast.parse(path.read_text())
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield node.value
