"""What is taken out of a text before a model reads it, and what stays."""

import time

import pytest

from mcp_server.deadline import Deadline
from mcp_server.llm.redaction import RedactingEmbedder, Redaction
from tests.tools.stand_ins import Bags

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLWl0"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
SECRETS = [
    ("private key", f"{KEY}", KEY), ("token", f"it was {JWT}", JWT), ("token", "key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("token", f"ghp_{'a1' * 18} leaked", "a1a1a1"), ("token", "Authorization: Bearer abcdefghijklmnop1234", "abcdefghijklmnop1234"),
    ("password", "password: hunter2", "hunter2"), ("password", "Passwort = Geheim99", "Geheim99"),
    ("password", "my password is Tr0ub4dor&3", "Tr0ub4dor&3"),
    ("password", "postgres://app:s3cr3t@db.example.com/x", "s3cr3t"),
    ("password", 'api_key="abc-123-def"', "abc-123-def"), ("password", "PIN: 4711", "4711"),
]
PERSONAL = [
    ("email", "write to ada@example.com.", "ada@example.com"), ("iban", "IBAN DE89 3704 0044 0532 0130 00 please", "3704 0044"),
    ("card", "card 4111 1111 1111 1111", "4111 1111"), ("social security number", "ssn 123-45-6789", "123-45-6789"),
    ("phone", "call +49 30 1234567", "1234567"), ("phone", "call (212) 555-0123 now", "555-0123"),
]


@pytest.mark.parametrize(("kind", "text", "value"), SECRETS)
def test_a_secret_is_taken_out_and_never_put_back(kind, text, value):
    redaction = Redaction("secrets")
    redacted = redaction.redacted(text)
    assert value not in redacted
    assert f"[{kind} 1]" in redacted
    assert redaction.kinds == [kind]
    assert redaction.restored(redacted) == redacted


@pytest.mark.parametrize(("kind", "text", "value"), PERSONAL)
def test_personal_data_is_taken_out_for_the_model_and_put_back_for_the_caller(kind, text, value):
    assert Redaction("secrets").redacted(text) == text
    redaction = Redaction("all")
    redacted = redaction.redacted(text)
    assert value not in redacted
    assert redaction.kinds == [kind]
    assert redaction.restored(redacted) == text


@pytest.mark.parametrize(("_", "text", "value"), SECRETS + PERSONAL)
def test_nothing_is_taken_out_when_it_is_off(_, text, value):
    redaction = Redaction()
    assert redaction.redacted(text) == text
    assert redaction.kinds == []


@pytest.mark.parametrize("text", [
    "INC0012345 CHG0001234 KB0010001 since 2026-11-21 08:10:12, version 10.0.22631.4460",
    "host 10.20.30.40 port 8080", "error 0x80070005, serial 5CD1234XYZ",
    "sys_id 9d385017c611228701d22104cc95c371", "I forgot my password and the token does not work.",
    "reset the password please", "Wi-Fi 802.11ax, room 3-114",
    "4111 1111 1111 1112 is no card", "DE00370400440532013000 is no account", "order 12345678901234",
])
def test_what_an_incident_needs_stays(text):
    assert Redaction("all").redacted(text) == text


def test_the_same_value_has_the_same_mark_in_every_text_of_a_call():
    redaction = Redaction("all")
    assert redaction.redacted("ada@example.com wrote to bob@example.com") == "[email 1] wrote to [email 2]"
    assert redaction.redacted("bob@example.com answered") == "[email 2] answered"


@pytest.mark.parametrize("piece", [
    "a-", " (", "a", "1", "password ", "eyJ", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "a@", "a.b@a.b.", "DE89 ",
    "+49 ", "http://a:", "4111 ", "pass is "])
def test_no_text_takes_long(piece):
    began = time.process_time()
    Redaction("all").redacted((piece * 100_000)[:100_000])
    assert time.process_time() - began < 3


def test_what_makes_vectors_reads_no_more_than_what_writes():
    embedder = Bags()
    RedactingEmbedder(embedder, "all").embed(["ada@example.com cannot print", "Wi-Fi drops"], Deadline.after(1))
    assert embedder.asked == ["[email 1] cannot print", "Wi-Fi drops"]
