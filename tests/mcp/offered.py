"""Prompts and resources for tests: some that stay as they are, some that ask back, and enough for several pages."""

from mcp_server.mcp.asking import Elicitation
from mcp_server.mcp.completion import matching
from mcp_server.mcp.prompts import Prompt, PromptArgument, PromptRegistry, say
from mcp_server.mcp.resources import Contents, FixedResources, Resource, ResourceRegistry, ResourceTemplate


class Greeting(Prompt):
    name, title, description = "greeting", "Greeting", "Greets somebody in a language."
    arguments = (PromptArgument("who", "Whom to greet.", required=True), PromptArgument("language", "In which language."))
    completes = True

    def messages(self, _, *, who, language="English"):
        return [say("user", f"Greet {who} in {language}.")]

    def complete(self, argument, typed, given):
        return matching({"language": ("English", "Estonian", "German"), "who": (given.get("language", "") + " speaker",)}[argument], typed)


class Asking(Prompt):
    name, description, quick = "asking", "Asks who you are.", False

    def messages(self, call):
        schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        answer = call.ask("name", Elicitation("Who are you?", schema))
        return [say("user", f"I am {answer['content']['name']}.")]


class Pages:
    """Resources in pages, sorted, of which some may come and go; reading one asks back."""

    name, quick, templates, completes = "pages", False, (), False

    def __init__(self, count):
        self.uris = [f"page://{number:05}" for number in range(count)]

    def page(self, after, most):
        return [Resource(uri, uri) for uri in sorted(self.uris) if uri > after][:most]

    def has(self, uri):
        return uri in self.uris

    def read(self, call, uri):
        schema = {"type": "object", "properties": {"why": {"type": "string"}}}
        return [Contents(uri, str(call.ask("why", Elicitation("Why?", schema))["content"]))]

    def complete(self, *_):
        raise AssertionError

    def digests(self):
        return {}


def fixed_resources():
    listed = [
        Resource("note://a", "a", "The note", "A note.", "text/plain", 5),
        Resource("note://b.png", "b", mime_type="image/png"),
    ]
    held = [Contents("note://a", "héllo", "text/plain"), Contents("note://b.png", b"\x89PNG", "image/png"), Contents("note://of/x%20y", "of x y")]
    template = ResourceTemplate("note://of/{who}", "of", "Somebody's note")
    return FixedResources("notes", listed, held, (template,), {"who": ["x y", "X z", "other"]})


def offer(count=450):
    """What Server takes."""
    return {"prompts": PromptRegistry([Greeting(), Asking()]), "resources": ResourceRegistry([fixed_resources(), Pages(count)])}
