"""Whether a text that somebody else wrote speaks to the model. It is a hint: nothing is refused for it, but an answer is trusted less."""

from __future__ import annotations

import base64
import binascii
import re

from mcp_server.llm.untrusted import TEMPLATE_TOKEN, folded, is_tag, visible

MOST_LOOKED_AT = 200_000

# Who reads a ticket with a model, as those who write to it call it.
_READER = r"\b(?:ai(?: (?:agent|assistant|model|service|system))?|llm|(?:language |ai )?model|assistant|(?:the |ticket )?classifier|bot)\b"
_ORDERS = r"\b(?:instructions?|prompts?|rules|orders|directions|guidelines|commands|(?:was|were) told)\b"
_SPEAKS = re.compile("|".join((
    r"\b(?:ignore|disregard|forget|override|bypass|do not follow|stop following)\b[^.\n]{0,60}" + _ORDERS,
    r"\b(?:ignore|disregard|forget) (?:everything|all|anything)\b[^.\n]{0,30}\b(?:above|before|earlier|previous)\b",
    r"\byou are (?:now|no longer)\b[^.\n]{0,40}\b(?:an?|the|bound|assistant|model|free)\b",
    r"\bsystem prompt\b|\bdeveloper mode\b|\bjailbr(?:eak|oken)\b|\bnew (?:system )?instructions?\s*:",
    r"\b(?:important|note|message|data|rules?|instructions?) (?:to|for) (?:the |all |any )?" + _READER,
    r"(?:^|[\n.!?\]>]) ?(?:dear |hey )?" + _READER + r" ?[:,] ?(?:skip|ignore|answer|return|set|do|please|you|close|delete|use|write|say)\b",
    _READER + r" (?:must|shall|should|has to|needs to|will) (?:now |only |always )?(?:answer|return|respond|reply|output|say|set|choose|use)\b",
    r"\byou (?:must|shall|have to) (?:now |only |always )?(?:answer|return|respond|reply|output|classify)\b",
    r"\bmust be (?:answered|classified|labell?ed|categori[sz]ed) (?:with|as)\b",
    r"\b(?:whatever|regardless of what|no matter what) (?:the |this )?(?:text|incident|ticket|description|record)\b",
    r"\b(?:forget|ignore|override[sn]?|skip) (?:the |this |your )?(?:list|categories|taxonomy|analysis|visible text|description)\b",
    r"\b(?:category|classification|confidence|label) ?= ?\w|\bthe category (?:must be|is ['\"]?\w+['\"]?\W{1,3}(?:answer|return|reply|nothing))\b",
    r"\b(?:message|note|orders?|instructions?) from your (?:developers?|creators?|makers?|operators?)\b",
    r"\b(?:maintenance|debug|admin|test|audit) mode\b[^.\n]{0,20}[:,] ?(?:return|answer|output|say)\b",
    r"\b(?:answer|respond|reply|output|return|say)(?: only| just| exclusively)? with (?:the )?(?:category|label|word|following|json)\b",
    r"\b(?:classify|categori[sz]e|label|file) (?:this|the|every)(?: incident| ticket| text| record)? (?:as|under)\b",
    r"\b(?:correct|right|only valid) (?:category|label|answer) (?:is|must be)\b",
    r"\b(?:set|choose|pick|select) (?:the )?(?:category|label|confidence) (?:to|as|=)",
    # German
    r"\b(?:ignorier\w{0,12}|vergiss|vergessen sie|missacht\w{0,12})\b[^.\n]{0,60}\b(?:anweisung\w{0,12}|regeln|vorgaben|befehle|instruktionen)\b",
    r"\bantworte\w{0,12}(?: sie)?(?: nur| ausschließlich)? mit (?:der )?(?:kategorie|folgende\w{0,12}|dem wort)\b",
    r"\bdu bist (?:jetzt|ab sofort|nun)\b[^.\n]{0,40}\b(?:ein|eine|der|die)\b",
    # French, Spanish, Italian, Portuguese, Dutch, Polish
    r"\b(?:ignore[zr]?|oublie[zr]?)\b[^.\n]{0,60}\b(?:instructions?|consignes?|règles?)\b",
    r"\brépond(?:s|ez)(?: uniquement| seulement)? (?:avec|par) la catégorie\b",
    r"\b(?:ignora\w{0,12}|olvida\w{0,12}|dimentica\w{0,12})\b[^.\n]{0,60}\b(?:instrucciones|reglas|istruzioni|regole|instruções|regras)\b",
    r"\b(?:negeer|vergeet)\b[^.\n]{0,60}\b(?:instructies|regels|opdrachten)\b",
    r"\b(?:z?ignoruj\w{0,12}|pomiń)\b[^.\n]{0,60}\b(?:instrukcj\w{0,12}|polece\w{0,12}|zasad\w{0,12})\b",
    # Russian, Chinese, Japanese
    r"\bигнорир\w{0,12}[^.\n]{0,60}(?:инструкц|правил|указан)",  # noqa: RUF001 - it is Russian
    r"(?:忽略|无视)[^。\n]{0,20}(?:指令|指示|规则)|(?:指示|命令)を?無視",
)), re.IGNORECASE)
_ROLE_LINE = re.compile(
    r"(?:^|<!--)[ \t]{0,20}(?:#{2,6} ?(?:instructions?|system|response)\b|(?:system|assistant|developer) ?:)", re.IGNORECASE | re.MULTILINE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,4000}={0,2}")


def looks_like_instructions(text: str) -> bool:
    """Orders, the line of a role, or a token of a chat template: openly, in a comment, in characters that nobody sees, or in base64."""
    text = text[:MOST_LOOKED_AT]
    seen = folded(visible(text))
    if TEMPLATE_TOKEN.search(seen) or _ROLE_LINE.search(seen):
        return True
    return any(_SPEAKS.search(read) for read in (" ".join(seen.split()), _tag_text(text), *map(_decoded, _BASE64.findall(seen))))


def _tag_text(text: str) -> str:
    return "" if text.isascii() else "".join(chr(ord(character) - 0xE0000) for character in text if is_tag(character))


def _decoded(written: str) -> str:
    """What it says in base64; nothing when it is none."""
    try:
        return base64.b64decode(written.rstrip("=") + "=" * (-len(written.rstrip("=")) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
