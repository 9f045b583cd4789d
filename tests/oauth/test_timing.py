"""What is wrong takes the same work however it is wrong. The work is counted, not timed: a count can fail for one reason only."""

from __future__ import annotations

import hmac

import bcrypt
import pytest

from tests.gateway import DCR_TOKEN, PASSWORD, USERNAME, Browser, registration_body

SECRET = "timing-client-secret-0123456789abcdef"
ALL_WRONG = "Zz" * (len(DCR_TOKEN) // 2) + "Z" * (len(DCR_TOKEN) % 2)


@pytest.fixture
def work(monkeypatch):
    """work(call) → every digest, comparison and password check that the call made, with the lengths that it was made over."""
    done = []

    def counted(module, name, shown):
        real = getattr(module, name)

        def counting(*arguments, **kwargs):
            done.append((name, *(shown(each) for each in arguments)))
            return real(*arguments, **kwargs)

        monkeypatch.setattr(module, name, counting)

    counted(hmac, "digest", len)
    counted(hmac, "compare_digest", len)
    counted(bcrypt, "checkpw", lambda given: given[:7] if given.startswith(b"$2") else len(given))  # a hash begins with its cost

    def of(call):
        done.clear()
        call()
        return list(done)

    return of


@pytest.mark.requirement("TIM-001")
@pytest.mark.parametrize("nearly", [DCR_TOKEN[:-1] + "!", "!" + DCR_TOKEN[1:], DCR_TOKEN[:10] + "!" * (len(DCR_TOKEN) - 10)])
def test_a_registration_token_that_is_nearly_right_takes_the_work_of_one_that_is_all_wrong(gateway, work, nearly):
    def register(token):
        response = gateway.post("/oauth/register", json=registration_body(), headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401

    assert len(nearly) == len(ALL_WRONG)
    expected = work(lambda: register(ALL_WRONG))
    assert ("compare_digest", len(DCR_TOKEN), len(DCR_TOKEN)) in expected
    assert work(lambda: register(nearly)) == expected


@pytest.mark.requirement("TIM-002")
@pytest.mark.parametrize("endpoint", ["token", "revoke", "introspect"])
def test_a_wrong_secret_takes_the_work_of_an_unknown_client(gateway, work, endpoint):
    client = gateway.add_client(SECRET)

    def ask(**proof):
        response = gateway.post(f"/oauth/{endpoint}", data={"grant_type": "refresh_token", "refresh_token": "x", "token": "x"} | proof)
        assert response.status_code == 401

    expected = work(lambda: ask(client_id="0" * 32, client_secret=SECRET[:-1] + "!"))
    assert "compare_digest" in {name for name, *_ in expected}
    assert len(work(lambda: ask(client_id=client.client_id, client_secret=SECRET[:-1] + "!"))) == len(expected)


@pytest.mark.requirement("TIM-002")
def test_a_wrong_password_takes_the_work_of_an_unknown_name(gateway, work):
    def sign_in(username):
        def fill_in():
            assert Browser(gateway).sign_in(username=username, password=PASSWORD[:-1] + "!").status_code == 401

        return [each for each in work(fill_in) if each[0] == "checkpw"]

    sign_in("nobody")  # the hash of nobody's password is made once
    assert sign_in("nobody") == sign_in(USERNAME) != []
