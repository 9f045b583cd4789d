import pytest

from mcp_server.tools.supported import Sources

RECORD = Sources([
    "INC0012345 opened 2026-11-21 08:10:12 by three people in room 3-114. Host 10.20.30.40 runs 5.3.1, 95% full, 10 minutes. gw7.",
    "CHG0030001: 1,5 GB."])


@pytest.mark.parametrize("text", [
    "INC0012345 and chg0030001.", "On 21.11.2026 at 08:10.", "on 2026-11-21", "21 November 2026, 8:10", "3 people", "Room 3-114.", "host 10.20.30.40",
    "v5.3.1", "08:10", "10 minutes, 95%",
    "95 %", "10min", "gw7 was restarted", "No figures at all.", "1.5 GB", ""])
def test_what_the_record_says_is_supported_also_when_written_in_another_way(text):
    assert RECORD.unsupported(text) == []


@pytest.mark.parametrize(("text", "wrong"), [
    ("INC0012346 is open.", ["INC0012346"]), ("INC12345", ["INC12345"]), ("On 2026-11-22.", ["2026-11-22"]),
    ("at 08:11", ["08:11"]), ("40 people and 41", ["41"]),
    ("5.4.1", ["5.4.1"]), ("KB0010001, KB0010001", ["KB0010001"]), ("TASK2026", ["TASK2026"])])
def test_what_it_does_not_say_is_named_once(text, wrong):
    assert RECORD.unsupported(text) == wrong


def test_sentences_that_stand_are_kept():
    kept, wrong = RECORD.without_unsupported("Host 10.20.30.40 is full. It was so since 2025. INC0012345 is open!")
    assert kept == "Host 10.20.30.40 is full. INC0012345 is open!"
    assert wrong == ["2025"]


@pytest.mark.parametrize("link", ["https://evil.example/x?a=1", "http://evil.example", "www.evil.example/y", "HTTPS://EVIL.EXAMPLE"])
def test_a_link_from_nowhere_is_removed(link):
    sources = Sources(["See https://kb.example.com/1."])
    assert sources.without_foreign_links(f"Open {link}, then https://kb.example.com/1.") == "Open [link removed] then https://kb.example.com/1."
