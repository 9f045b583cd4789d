"""The language model, put together: its slots over all workers, what embeds, and the self-test that says what is wrong with it."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config import logs
from config.settings import Settings
from mcp_server.background import every
from mcp_server.building.foundations import Background, Foundations
from mcp_server.clock import Clock
from mcp_server.errors import StoreUnavailable
from mcp_server.llm.leases import RENEW_SECONDS
from mcp_server.llm.open import open_embedder, open_leases, open_model
from mcp_server.llm.ports import Embedder, LanguageModel
from mcp_server.llm.self_test import ELECTED_SECONDS, SelfTest, Step
from mcp_server.llm.self_test import FOLLOW_SECONDS as SELF_TEST_SECONDS
from mcp_server.oauth.ports import SingleUseStore


@dataclass(frozen=True)
class Models:
    model: LanguageModel
    embedder: Embedder
    self_test: SelfTest


def build_model(base: Foundations, model: LanguageModel | None, embedder: Embedder | None) -> tuple[Models, tuple[Background, ...]]:
    """What the settings name, or what a test gives instead; and what runs beside the requests."""
    settings, state, clock = base.settings, base.state, base.clock
    data = settings.state_path.parent
    leases = open_leases(settings, state.model_slots, clock=clock, warn=_log_leases)
    model = model or open_model(settings, data, leases, observer=base.metrics, tracer=base.tracer)
    embedder = embedder or open_embedder(settings, data, observer=base.metrics, tracer=base.tracer)
    self_test = SelfTest(model, embedder, context=settings.llm_context, elected=_elected(state.single_use, clock, settings), changed=_log_self_test)
    beside = (every(SELF_TEST_SECONDS, self_test.follow), *([every(RENEW_SECONDS, leases.renew)] if leases else []))
    return Models(model, embedder, self_test), beside


def _elected(claims: SingleUseStore, clock: Clock, settings: Settings) -> Callable[[], bool]:
    """One worker of all asks the model; the others would ask the same. After another start, or with other settings, it is asked again."""

    def elected() -> bool:
        asked = hashlib.sha256(f"{_main_process()} {settings!r}".encode()).hexdigest()[:32]
        try:
            return claims.claim(f"the model's self-test {asked}", clock() + ELECTED_SECONDS, clock())
        except StoreUnavailable:
            return False

    return elected


def _main_process() -> str:
    """Which process is the parent of all workers, told from one that had its number before: by when it began, in ticks of this machine."""
    parent = os.getppid()
    try:
        began = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = ""
    return f"{platform.node()} {parent} {began}"


def _log_leases(detail: str) -> None:
    logs.get("model").warning("each worker keeps to its own share of the model slots for now", detail=detail)


def _log_self_test(steps: tuple[Step, ...]) -> None:
    for step in steps:
        if not step.ok:
            logs.get("model").warning(step.said, self_test=step.name, next_step=step.next_step)
    if len(steps) > 1 and all(step.ok for step in steps):
        logs.get("model").info("the self-test of the model passed", found=[step.said for step in steps])
