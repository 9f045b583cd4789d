"""A sealed file opens whole, or says what is wrong with it."""

from __future__ import annotations

import io

import pytest

from mcp_server.backup import container
from mcp_server.backup.container import CHUNK, TAG, DamagedBackup, NewerBackup, Sealer, WrongKey, opened

KEY, OTHER_KEY = "Kq7vRt2mXb9cLw4zNs8dHf3gJp6yAe1u", "Tb6nMk9pLq2vXs5cZd8fGh1jAe4uRw3y"
BEGINNING = 9 + 1 + 16 + 16
PLAIN = bytes(range(256)) * (CHUNK // 256) * 3 + b"the end"  # four chunks


def sealed(plain=PLAIN, key=KEY):
    file = io.BytesIO()
    sealer = Sealer(file, key)
    sealer.write(plain)
    sealer.finish()
    return file.getvalue()


def content(file, key=KEY):
    return b"".join(opened(io.BytesIO(file), key))


@pytest.fixture
def whole():
    return sealed()


def chunks_of(file):
    step = CHUNK + TAG
    return [file[:BEGINNING], *(file[start:start + step] for start in range(BEGINNING, len(file), step))]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_what_was_sealed_comes_back(size):
    assert content(sealed(PLAIN[:size])) == PLAIN[:size]


def test_nothing_of_the_content_or_the_key_can_be_read_in_the_file(whole):
    assert b"the end" not in whole
    assert KEY.encode() not in whole


def test_a_key_costs_32_megabytes_to_try(monkeypatch, whole):
    monkeypatch.undo()
    container._derived.cache_clear()
    assert container.COST * 8 * 128 == 32 * 1024 * 1024
    with pytest.raises(WrongKey):  # it counts
        content(whole)


def test_the_same_content_is_never_sealed_alike():
    assert sealed(b"x")[BEGINNING:] != sealed(b"x")[BEGINNING:]


def test_another_key_is_told_from_a_damage(whole):
    with pytest.raises(WrongKey, match="--key-file"):
        content(whole, OTHER_KEY)


DAMAGES = {
    "nothing": lambda _: b"",
    "another file": lambda _: b"-- a dump\n" * 100,
    "only the beginning": lambda file: file[:BEGINNING],
    "half of the beginning": lambda file: file[:20],
    "one byte short": lambda file: file[:-1],
    "cut between two chunks": lambda file: b"".join(chunks_of(file)[:-1]),
    "cut within a chunk": lambda file: file[:BEGINNING + CHUNK],
    "two chunks change places": lambda file: b"".join(chunks_of(file)[index] for index in (0, 2, 1, 3, 4)),
    "a chunk twice": lambda file: b"".join(chunks_of(file)[index] for index in (0, 1, 1, 2, 3, 4)),
    "a chunk left out": lambda file: b"".join(chunks_of(file)[index] for index in (0, 1, 3, 4)),
    "something after the end": lambda file: file + b"x",
    "the end of another one": lambda file: b"".join([*chunks_of(file)[:-1], chunks_of(sealed())[-1]]),
    "a bit in the content": lambda file: file[:BEGINNING + 5] + bytes([file[BEGINNING + 5] ^ 1]) + file[BEGINNING + 6:],
    "a bit in the last tag": lambda file: file[:-1] + bytes([file[-1] ^ 1]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_found(whole, damage):
    with pytest.raises(DamagedBackup):
        content(DAMAGES[damage](whole))


@pytest.mark.parametrize("place", range(10, BEGINNING, 5))
def test_a_bit_in_salt_or_check_is_found(whole, place):
    with pytest.raises(WrongKey):
        content(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])


def test_a_newer_format_is_refused_by_its_number(whole):
    with pytest.raises(NewerBackup, match="format 2"):
        content(whole[:9] + b"\x02" + whole[10:])
