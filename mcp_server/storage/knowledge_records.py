"""A document as it is kept, the same in every back end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from mcp_server.knowledge.documents import Document, Readers, Restriction
from mcp_server.knowledge.ports import IndexState, VectorModel


def packed(document: Document) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def unpacked(body: bytes | str) -> Document:
    values = orjson.loads(body)
    said = values.pop("restriction")
    restriction = Restriction(said["known"], tuple(said["can_read"]), tuple(said["cannot_read"]), tuple(said["roles"]))
    return Document(**values, restriction=restriction)


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def packed_readers(readers: Readers) -> str:
    return orjson.dumps([sorted(sorted(group) for group in readers.all_of), sorted(readers.excluded)]).decode()


def unpacked_readers(body: str) -> Readers:
    groups, excluded = orjson.loads(body)
    return Readers(tuple(frozenset(group) for group in groups), frozenset(excluded))


def packed_state(state: IndexState) -> bytes:
    return orjson.dumps(state)


def unpacked_state(body: bytes | str) -> IndexState:
    values: Mapping[str, Any] = orjson.loads(body)
    model = values["model"]
    return IndexState(**{**values, "model": VectorModel(**model) if model else None, "changed": tuple(values["changed"])})
