"""What the official suite has for each revision: the scenarios that must pass, by name, so that none can get lost."""

from __future__ import annotations

from tests.conformance.suite import PASSED

TOOLS = {"tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource", "tools-call-mixed-content",
         "tools-call-error", "tools-call-with-progress"}
RESOURCES = {"resources-list", "resources-read-text", "resources-read-binary", "resources-templates-read"}
PROMPTS = {"prompts-list", "prompts-get-simple", "prompts-get-with-args", "prompts-get-embedded-resource", "prompts-get-with-image"}
COMPLETION = {"completion-complete"}
SINCE_2025_11_25 = {"json-schema-2020-12", "server-sse-multiple-streams", "dns-rebinding-protection"}

SESSIONS = {"server-session-lifecycle"}
HANDSHAKE = {"server-initialize", "ping", "logging-set-level", "tools-call-with-logging", "tools-call-sampling", "tools-call-elicitation"}
SUBSCRIPTIONS = {"resources-subscribe", "resources-unsubscribe"}

STATELESS = {"server-stateless", "caching", "http-header-validation", "http-custom-header-server-validation", "sep-2164-resource-not-found"}
INPUT_REQUIRED = {f"input-required-result-{name}" for name in (
    "basic-elicitation", "basic-sampling", "basic-list-roots", "request-state", "multiple-input-requests", "multi-round", "missing-input-response",
    "non-tool-request", "result-type", "unsupported-methods", "tampered-state", "capability-check", "ignore-extra-params", "validate-input")}
TASKS = {f"tasks-{name}" for name in (
    "lifecycle", "capability-negotiation", "wire-fields", "request-state-removal", "mrtr-input", "request-headers", "dispatch-and-envelope",
    "status-notifications", "required-task-error", "mrtr-composition")}

SCENARIOS = {
    "2025-03-26": SESSIONS,
    "2025-06-18": SESSIONS | HANDSHAKE | TOOLS | RESOURCES | SUBSCRIPTIONS | PROMPTS | COMPLETION,
    "2025-11-25": SESSIONS | HANDSHAKE | TOOLS | RESOURCES | SUBSCRIPTIONS | PROMPTS | COMPLETION | SINCE_2025_11_25 | {
        "elicitation-sep1034-defaults", "elicitation-sep1330-enums", "server-sse-polling"},
    "2026-07-28": TOOLS | RESOURCES | PROMPTS | COMPLETION | SINCE_2025_11_25 | STATELESS | INPUT_REQUIRED | TASKS,
}
LEFT_OUT_BY_THE_SUITE = {"tasks-status-notifications": "SKIPPED"}
"""It has the name, and no check yet."""


def surprises(found):
    """What is not as it has to be, a line a scenario: one that did not pass, did not run, or that nobody knows."""
    lines = []
    for revision, expected in SCENARIOS.items():
        came_of = dict.fromkeys(expected, "did not run") | found[revision]
        lines += [f"{revision} {scenario}: {what}" for scenario, what in sorted(came_of.items()) if not _as_expected(scenario, what, expected)]
    return "\n".join(lines)


def _as_expected(scenario, what, expected):
    if scenario in LEFT_OUT_BY_THE_SUITE:
        return what.startswith(LEFT_OUT_BY_THE_SUITE[scenario])
    return scenario in expected and what == PASSED
