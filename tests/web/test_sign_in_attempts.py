"""Wrong passwords are counted for each account; whoever guesses cannot lock the owner out, and learns no names."""

from __future__ import annotations

import ipaddress
import itertools
import threading

import pytest
import redis

from mcp_server.errors import TooBusy
from mcp_server.web.sign_in_attempts import KNOWN_FOR, WRONG_PASSWORDS
from tests.gateway import HOST, ISSUER, PASSWORD, USERNAME, Browser, both_back_ends, hidden_fields

pytestmark = both_back_ends
ADDRESSES = itertools.count()
MOST = WRONG_PASSWORDS.most


@pytest.fixture(autouse=True)
def at_the_beginning_of_an_hour(clock):
    clock.advance(3600 - clock() % 3600)


def tries(browser, times=1, username=USERNAME, password="wrong"):
    """The statuses of so many sign-ins, each from another address: who guesses in earnest has many."""
    def status():
        address = ipaddress.ip_address("203.0.0.0") + next(ADDRESSES)
        fields = hidden_fields(browser.get("/login")) | {"username": username, "password": password}
        browser.last = browser.http.post("/login", base_url=ISSUER, data=fields, environ_overrides={"REMOTE_ADDR": str(address)})
        return browser.last.status_code

    return [status() for _ in range(times)]


def cookie_of_the_browser(browser):
    [(name, value)] = [(cookie.key, cookie.value) for cookie in browser.http._cookies.values() if "browser-" in cookie.key]
    return name, value


@pytest.fixture
def attacker(gateway):
    return Browser(gateway)


@pytest.fixture
def owner(gateway):
    """At a browser in which the owner has signed in before, and is signed out."""
    known = Browser(gateway)
    assert known.sign_in().status_code == 303
    known.post("/logout", hidden_fields(known.get("/logout")))
    return known


@pytest.mark.requirement("PPL-001")
def test_guessing_ends_also_with_the_right_password_and_the_owner_goes_on(owner, attacker):
    assert tries(attacker, MOST + 2) == [401] * MOST + [429] * 2
    assert tries(attacker, 1, password=PASSWORD) == [429]
    assert owner.sign_in().status_code == 303
    assert tries(attacker, 1, password=PASSWORD) == [429]


def test_one_count_for_all_strangers_and_every_worker(gateway, attacker, open_gateway):
    assert tries(attacker, MOST - 1) == [401] * (MOST - 1)
    another = Browser(open_gateway())
    assert tries(another, 2) == [401, 429]
    assert tries(attacker, 1) == [429]


@pytest.mark.requirement("PPL-002")
@pytest.mark.requirement("LOG-006")
def test_a_known_name_a_disabled_one_and_nobody_are_refused_alike_and_no_password_is_looked_at(gateway, attacker, monkeypatch):
    gateway.add_user("bob", PASSWORD, disabled=True)
    pages = set()
    for username in (USERNAME, "bob", "nobody"):
        assert tries(attacker, MOST, username=username) == [401] * MOST
        with monkeypatch.context() as patch:
            patch.setattr(gateway.services.passwords, "verify", None)
            fields = hidden_fields(attacker.get("/login"))
            assert tries(attacker, 1, username=username, password=PASSWORD) == [429]
        page = attacker.last.text.replace(username, "NAME").replace(fields["csrf"], "CSRF")
        pages.add((page, attacker.last.headers["Retry-After"], tuple(sorted(attacker.last.headers.keys()))))
    [(page, wait, _)] = pages
    assert "Too many wrong passwords" in page
    assert "flask users unlock" in page
    assert 3595 <= int(wait) <= 3601


def test_spelling_the_name_otherwise_is_the_same_account(attacker):
    for username in (USERNAME.upper(), USERNAME.title(), USERNAME):
        tries(attacker, MOST // 2, username=username)
    assert tries(attacker, 1) == [429]


def test_other_accounts_are_not_touched(gateway, attacker):
    gateway.add_user("bob")
    tries(attacker, MOST + 1)
    assert Browser(gateway, "bob").sign_in().status_code == 303


def test_right_passwords_are_not_counted(gateway):
    for _ in range(MOST + 5):
        assert tries(Browser(gateway), 1, password=PASSWORD) == [303]


def test_a_new_hour_begins_anew(attacker, clock):
    tries(attacker, MOST + 1)
    clock.advance(3599)
    assert tries(attacker, 1) == [429]
    clock.advance(1)
    assert tries(attacker, 1, password=PASSWORD) == [303]


def test_a_known_browser_has_a_count_of_its_own_and_no_more_than_that(owner, attacker, gateway):
    assert tries(owner, MOST + 1) == [401] * MOST + [429]
    assert tries(owner, 1, password=PASSWORD) == [429]
    assert tries(attacker, 1) == [401]
    assert Browser(gateway).sign_in().status_code == 303


def test_the_cookie_of_one_account_is_worth_nothing_for_another(gateway, owner, attacker):
    gateway.add_user("bob")
    bob = Browser(gateway, "bob")
    bob.sign_in()
    (name_for_bob, of_bob), (_, of_ada) = cookie_of_the_browser(bob), cookie_of_the_browser(owner)
    tries(attacker, MOST, username="bob")
    for name, value in ((name_for_bob, of_ada), (name_for_bob, of_bob[:-1]), (name_for_bob, "x"), ("session", of_bob)):
        thief = Browser(gateway, "bob")
        thief.http.set_cookie(name, value, domain=HOST)
        assert tries(thief, 1, username="bob", password=PASSWORD) == [429]
    thief.http.set_cookie(name_for_bob, of_bob, domain=HOST)
    assert tries(thief, 1, username="bob", password=PASSWORD) == [303]


def test_two_people_at_one_browser_are_both_known(gateway, owner, attacker):
    gateway.add_user("bob")
    owner.sign_in(username="bob")
    for username in (USERNAME, "bob"):
        tries(attacker, MOST + 1, username=username)
        assert tries(owner, 1, username=username, password=PASSWORD) == [303]


def test_a_name_that_was_given_anew_does_not_know_the_browser_of_the_person_before(gateway, owner, attacker):
    gateway.services.users.remove(USERNAME)
    gateway.add_user()
    tries(attacker, MOST)
    assert tries(owner, 1, password=PASSWORD) == [429]


def test_a_browser_is_known_for_a_time_only(gateway, owner):
    [cookie] = [cookie for cookie in owner.http._cookies.values() if "browser-" in cookie.key]
    assert cookie.max_age == KNOWN_FOR


def test_unlocking_begins_every_count_of_the_account_anew(gateway, owner, attacker, open_gateway):
    gateway.add_user("bob")
    for browser, username in ((attacker, USERNAME), (owner, USERNAME), (attacker, "bob")):
        tries(browser, MOST + 1, username=username)
    done = open_gateway().app
    from mcp_server.cli.users import users  # noqa: PLC0415 - the command, on the application of this test
    done.cli.add_command(users)
    said = done.test_cli_runner().invoke(args=["users", "unlock", USERNAME.upper()])
    assert said.exit_code == 0, said.output
    assert tries(attacker, 1, password=PASSWORD) == [303]
    assert tries(owner, 1, password=PASSWORD) == [303]
    assert tries(Browser(gateway), 1, username="bob", password=PASSWORD) == [429]
    assert tries(Browser(gateway), MOST + 1) == [401] * MOST + [429]


def test_however_many_guess_at_once_no_more_passwords_than_the_limit_are_looked_at(gateway, monkeypatch):
    looked_at, lock = [], threading.Lock()

    def verify(*_):
        with lock:
            looked_at.append(1)
        return False

    monkeypatch.setattr(gateway.services.passwords, "verify", verify)
    browsers = [Browser(gateway) for _ in range(6)]
    threads = [threading.Thread(target=tries, args=(browser, 7)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked_at) == MOST


def test_a_try_that_the_server_was_too_busy_for_is_not_counted(gateway, attacker, monkeypatch):
    def busy(*_):
        raise TooBusy("Too many people are signing in.")

    with monkeypatch.context() as patch:
        patch.setattr(gateway.services.passwords, "verify", busy)
        assert tries(attacker, MOST + 5) == [503] * (MOST + 5)
    assert tries(attacker, 1, password=PASSWORD) == [303]


def test_each_refusal_is_audited_and_no_name_that_was_typed_is_kept(gateway, attacker, log, back_end, data_folder):
    tries(attacker, MOST + 1)
    assert [line["result"] for line in log.audited("sign_in")] == ["failure"] * MOST + ["denied"]
    assert log.audited("sign_in")[-1]["details"] == {"known_browser": False, "reason": "too many wrong passwords"}
    tries(attacker, 1, username="a-name-that-nobody-has")
    assert "a-name-that-nobody-has" not in log.text
    if back_end:
        with redis.Redis.from_url(back_end["REDIS_URL"]) as raw:
            keys = raw.keys("*sign-in*")
            assert keys
            assert all(raw.ttl(key) > 0 for key in keys)
            assert not [key for key in keys if b"nobody" in key or USERNAME.encode() in key]
    else:
        assert b"a-name-that-nobody-has" not in (data_folder / "state.db").read_bytes() + (data_folder / "state.db-wal").read_bytes()
