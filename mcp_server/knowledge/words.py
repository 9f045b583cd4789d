"""The words of a question that are looked up."""

from __future__ import annotations

import re

MOST_WORDS = 32
MOST_CHARACTERS = 2000
"""Of a question; the rest is not looked up."""
_WORD = re.compile(r"\w+")
_COMMON = frozenset("""
a about after all also am an and any are as at be been but by can cannot could did do does for from get had has have he her his how i if in into is
it its just me my no not of on or our out she should so some that the their them then there these they this to too up us was we were what when where
which who why will with would you your please help need want
aber als am an auch auf aus bei bin bis das dem den der des die doch ein eine einen einer es für hat ich im in ist kann mein meine mich mir mit nach
nicht noch oder sich sie sind so um und uns von vor war was wenn wie wir zu zum zur
au aux avec ce ces dans de des du elle en est et il je la le les leur ma mais mes mon ne nous on ou par pas pour que qui sa se ses son sur un une vous
""".split())  # noqa: SIM905 a list of words is read more easily so


def words_of(query: str) -> list[str]:
    """Each once, in their order, without those that stand everywhere; with them if there are no others."""
    words = list(dict.fromkeys(_WORD.findall(query[:MOST_CHARACTERS].lower())))
    telling = [word for word in words if word not in _COMMON]
    return (telling or words)[:MOST_WORDS]
