"""Fields for tool input: marshmallow fields that take what ServiceNow sends, which is often a string, without losing anything.

"3" is the integer 3, "true" the boolean; "a,b" and '["a","b"]' are lists. "3.5" is not an integer, 1 is not a boolean:
what cannot be read without loss is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from marshmallow import fields, validate


class Text(fields.String):
    """A string as it was sent."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for each in self.validators:
            if isinstance(each, validate.Length):
                each.message_max = "It is longer than {max} characters. Shorten it to what matters, and call again."
                each.message_all = "It must have {min} to {max} characters. Mend that, and call again."

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, bytes):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Choice(Text):
    """One of a few strings, without regard to case or surrounding blanks."""

    def __init__(self, choices: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf(choices), **kwargs)
        self._by_folded = {choice.lower(): choice for choice in choices}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        return self._by_folded.get(text.strip().lower(), text)


class Whole(fields.Integer):
    """A whole number, also as text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, str):
            if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}(\.0+)?\s*", value):
                raise self.make_error("invalid", input=value)
            value = int(value.split(".")[0])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Number(fields.Float):
    """A number, also as text; never NaN or infinite."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?\s*", value):
            raise self.make_error("invalid", input=value)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Flag(fields.Boolean):
    """true or false, also as text."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:  # noqa: ARG002 - marshmallow's signature
        folded = value.strip().lower() if isinstance(value, str) else value
        if folded is True or folded == "true":
            return True
        if folded is False or folded == "false":
            return False
        raise self.make_error("invalid", input=value)


class TextList(fields.List[str]):
    """Strings: a JSON array, a JSON array as text, or comma separated text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Text(), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, str):
            value = self._from_text(value)
        return super()._deserialize(value, attr, data, **kwargs)

    def _from_text(self, value: str) -> list[Any]:
        if value.lstrip().startswith("["):
            try:
                parsed = orjson.loads(value)
            except orjson.JSONDecodeError:
                raise self.make_error("invalid", input=value) from None
            return parsed if isinstance(parsed, list) else [value]
        return [part.strip() for part in value.split(",") if part.strip()]
