"""What a client opens as the person's browser: they sign in, approve, and are led back to the client.

Its folder has a diary: a JSON line for each time it was opened, with what was asked for and what the person saw. While there is a file `narrow`
in it, the browser asks for less than the client did, once: the client then has a token that does not suffice.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.person import Person

PATIENCE = 30


def main(folder, address):
    """Returns at once to who called, as a desktop's browser does: some clients listen only then."""
    if os.fork():
        return
    os.setsid()
    asked = dict(parse_qsl(urlsplit(address).query))
    if (folder / "narrow").exists():
        (folder / "narrow").unlink()
        asked["scope"] = "tools:read"
    person = Person("ada", "a password of some length")
    try:
        location = person.redirect_of(f"{address.partition('?')[0]}?{urlencode(asked)}")
        write(folder, scope=asked.get("scope"), saw=person.saw)
        follow(location)
    except Exception as error:
        write(folder, failed=repr(error))
        raise


def write(folder, **told):
    with (folder / "diary").open("a") as diary:
        diary.write(json.dumps(told) + "\n")


def follow(location):
    """To the client's own address, as soon as it listens there."""
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return browser.open(location, timeout=PATIENCE).close()
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
