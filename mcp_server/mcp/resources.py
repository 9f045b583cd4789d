"""Resources: what a client can read. A source has some of them; the registry shows those of all sources as one list."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote, unquote

import orjson

from mcp_server.errors import InvalidParams, ResourceNotFound
from mcp_server.mcp import pages
from mcp_server.mcp.completion import matching
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.shown import Annotations, Icon, icons_of, told

LONGEST_URI = 2048
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_uri(text: str) -> bool:
    """Whether it is an absolute URI (RFC 3986) that climbs nowhere: no `..` in its path, encoded or not."""
    if len(text) > LONGEST_URI or not _URI.fullmatch(text):
        return False
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(decoded) and not {".", ".."} & set(re.split(r"[/\\?#]", decoded))


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of `resources/list`. `size` in bytes. Raises ValueError for a bad URI."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    icons: tuple[Icon, ...] = ()
    annotations: Annotations | None = None

    def __post_init__(self) -> None:
        if not is_uri(self.uri):
            raise ValueError(f"{self.uri[:100]!r} is not an absolute URI.")

    @property
    def definition(self) -> dict[str, Any]:
        return told(
            uri=self.uri, name=self.name, title=self.title, description=self.description, mimeType=self.mime_type, size=self.size,
            icons=icons_of(self.icons), annotations=self.annotations and self.annotations.definition)


@dataclass(frozen=True, slots=True)
class ResourceTemplate:
    """Resources that are too many to list. `uri_template`: RFC 6570, level 1: `{name}` alone. Raises ValueError for any other."""

    uri_template: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    icons: tuple[Icon, ...] = ()
    annotations: Annotations | None = None

    def __post_init__(self) -> None:
        if not self.variables or len(set(self.variables)) < len(self.variables) or not is_uri(_VARIABLE.sub("x", self.uri_template)):
            raise ValueError(f"{self.uri_template[:100]!r} is not a URI with {{names}} in it, each once.")

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(_VARIABLE.findall(self.uri_template))

    def match(self, uri: str) -> dict[str, str] | None:
        """The values that make `uri` of the template."""
        found = _pattern(self.uri_template).fullmatch(uri)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None

    def expand(self, **values: str) -> str:
        return _VARIABLE.sub(lambda variable: quote(values[variable[1]], safe=""), self.uri_template)

    @property
    def definition(self) -> dict[str, Any]:
        return told(
            uriTemplate=self.uri_template, name=self.name, title=self.title, description=self.description, mimeType=self.mime_type,
            icons=icons_of(self.icons), annotations=self.annotations and self.annotations.definition)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a resource says: text, or bytes that are not."""

    uri: str
    content: str | bytes
    mime_type: str | None = None

    @property
    def definition(self) -> dict[str, Any]:
        said = {"blob": base64.b64encode(self.content).decode()} if isinstance(self.content, bytes) else {"text": self.content}
        return told(uri=self.uri, mimeType=self.mime_type) | said

    @property
    def size(self) -> int:
        return len(self.content if isinstance(self.content, bytes) else self.content.encode())


class ResourceSource(Protocol):
    """Some of the resources. `name` stands in cursors. `quick`: reading takes milliseconds and asks the client nothing."""

    name: str
    quick: bool
    templates: Sequence[ResourceTemplate]

    @property
    def completes(self) -> bool:
        """Whether it has something to complete a variable with."""

    def page(self, after: str, most: int) -> Sequence[Resource]:
        """At most so many, in a steady order, behind the URI `after`; empty: from the first. What `after` names may be gone."""

    def has(self, uri: str) -> bool: ...
    def read(self, call: CallContext, uri: str) -> Sequence[Contents]:
        """Of a resource that it has. May `call.ask`, unless it is quick."""

    def complete(self, template: ResourceTemplate, variable: str, typed: str, given: Mapping[str, str]) -> Sequence[str]:
        """The values that what is typed can become. `given`: variables that are known already."""

    def digests(self) -> Mapping[str, str]:
        """By URI a digest of what is read there, and by "" of the list and the templates: compared when the server starts.

        Empty for a source that tells of its changes itself, by `Changes`.
        """


class FixedResources:
    """Resources that stay what they are while the server runs.

    `held`: what is read, by its URI, also what is not listed since a template has it. `values`: of the templates' variables.
    """

    quick = True

    def __init__(
        self, name: str, listed: Iterable[Resource], held: Iterable[Contents], templates: Sequence[ResourceTemplate] = (),
        values: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.name = name
        self.templates = templates
        self._listed = sorted(listed, key=lambda resource: resource.uri)
        self._held = {contents.uri: contents for contents in held}
        self._values = values or {}

    @property
    def completes(self) -> bool:
        return bool(self._values)

    def page(self, after: str, most: int) -> Sequence[Resource]:
        return [resource for resource in self._listed if resource.uri > after][:most]

    def has(self, uri: str) -> bool:
        return uri in self._held

    def read(self, call: CallContext, uri: str) -> Sequence[Contents]:  # noqa: ARG002 the port's signature
        return [self._held[uri]]

    def complete(self, template: ResourceTemplate, variable: str, typed: str, given: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002 the same
        return matching(self._values.get(variable, ()), typed)

    def digests(self) -> Mapping[str, str]:
        shown = [*(resource.definition for resource in self._listed), *(template.definition for template in self.templates)]
        return {"": digest(shown)} | {uri: digest(contents.definition) for uri, contents in self._held.items()}


class ResourceRegistry:
    """The resources of all sources, source by source."""

    def __init__(self, sources: Iterable[ResourceSource] = ()) -> None:
        self._sources = {source.name: source for source in sources}

    def __bool__(self) -> bool:
        return bool(self._sources)

    @property
    def completes(self) -> bool:
        return any(source.completes for source in self._sources.values())

    @property
    def templates(self) -> list[ResourceTemplate]:
        return [template for source in self._sources.values() for template in source.templates]

    def page(self, cursor: str | None) -> tuple[list[Resource], str | None]:
        """The page that a cursor asks for, and the cursor of the next one. Raises InvalidParams."""
        name, after = pages.place_of(cursor, 2) or (next(iter(self._sources), ""), "")
        if name not in self._sources:
            raise InvalidParams(pages.NOT_OURS)
        listed: list[Resource] = []
        last = pages.cursor_after(name, after)
        names = list(self._sources)
        for number in range(names.index(name), len(names)):
            for resource in self._sources[names[number]].page(after, pages.PAGE + 1 - len(listed)):
                if len(listed) == pages.PAGE:
                    return listed, last
                listed.append(resource)
                last = pages.cursor_after(names[number], resource.uri)
            after = ""
        return listed, None

    def find(self, uri: Any) -> ResourceSource | None:
        """The source that has it."""
        if not isinstance(uri, str) or not is_uri(uri):
            return None
        return next((source for source in self._sources.values() if source.has(uri)), None)

    def __getitem__(self, uri: str) -> ResourceSource:
        """The source that has it. Raises ResourceNotFound, and InvalidParams for what is no URI."""
        if not is_uri(uri):
            raise InvalidParams("`uri` must be an absolute URI without `..` in it, as resources/list shows it.")
        if (source := self.find(uri)) is None:
            raise ResourceNotFound("There is no such resource. Call resources/list for those that are there.", data={"uri": uri})
        return source

    def complete(self, uri_template: str, variable: str, typed: str, given: Mapping[str, str]) -> Sequence[str]:
        """Raises InvalidParams for what is no template or none of its variables."""
        for source in self._sources.values():
            for template in source.templates:
                if template.uri_template == uri_template:
                    if variable not in template.variables:
                        raise InvalidParams(f"This template has the variables: {', '.join(template.variables)}.")
                    return source.complete(template, variable, typed, given)
        raise InvalidParams("There is no such template. Call resources/templates/list for those that are there.")

    def digests(self) -> dict[str, str]:
        """As a source has them, of all sources."""
        of_each = [source.digests() for source in self._sources.values()]
        contents = {uri: value for digests in of_each for uri, value in digests.items() if uri}
        return contents | {"": digest([digests.get("") for digests in of_each])}


def digest(value: Any) -> str:
    """Another one for another value."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


@lru_cache(maxsize=256)
def _pattern(uri_template: str) -> re.Pattern[str]:
    """A value is what RFC 6570 writes for a variable: unreserved characters, everything else encoded."""
    parts = _VARIABLE.split(uri_template)
    return re.compile("".join(
        rf"(?P<{part}>(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{{2}})+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)))
