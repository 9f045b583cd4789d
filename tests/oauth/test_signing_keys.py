"""Access tokens under key pairs (JWT_ALGORITHM=ES256): published, rotated, removed, and never mistaken for secrets."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from dataclasses import replace

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from config.settings import ConfigurationError, Settings
from mcp_server.errors import InvalidToken, StoreUnavailable
from mcp_server.oauth.credentials import derive_key
from mcp_server.oauth.key_records import KEPT, PUBLISHED_FIRST, KeyWrapping
from tests.gateway import DCR_TOKEN, ENVIRON, ISSUER, JWT_SECRET, OTHER_JWT_SECRET

SECRET = "a secret of some length"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture
def open_es256(open_gateway, clock):
    """A worker that signs with key pairs. Those are made before it starts."""

    def open_one(**environ):
        worker = open_gateway(JWT_ALGORITHM="ES256", **environ)
        if worker.services.key_records.create_first():
            clock.advance(1)  # the next key is a later one
        return worker

    return open_one


@pytest.fixture
def worker(open_es256):
    return open_es256()


@pytest.fixture
def client(worker):
    return worker.add_client(SECRET, grant_types=("client_credentials",))


@pytest.fixture
def token_of(client):
    """token_of(worker) → an access token that this worker issued."""

    def token_of(worker):
        response = worker.token({"grant_type": "client_credentials"} | client.proof)
        assert response.status_code == 200, response.text
        return response.json["access_token"]

    return token_of


def follow(*workers):
    for worker in workers:
        worker.services.signing_keys.follow()


def kids(worker):
    return [key["kid"] for key in worker.get("/oauth/jwks.json").json["keys"]]


def header_of(token):
    return json.loads(unb64(token.split(".")[0]))


def kid_of(token):
    return header_of(token)["kid"]


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64(data):
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# What is published


def test_anybody_can_verify_a_token_with_the_published_keys(worker, token_of):
    token = token_of(worker)
    keys = KeySet.import_key_set(worker.get("/oauth/jwks.json").json)
    decoded = jwt.decode(token, keys, algorithms=["ES256"])
    assert decoded.header == {"alg": "ES256", "typ": "at+jwt", "kid": kids(worker)[0]}
    assert decoded.claims["iss"] == ISSUER
    assert worker.opens(token)


@pytest.mark.requirement("MET-009")
def test_the_published_keys_have_public_parts_only(worker, clock):
    for _ in range(2):
        worker.services.key_records.rotate()
        clock.advance(PUBLISHED_FIRST)
        follow(worker)
    response = worker.get("/oauth/jwks.json")
    assert list(response.json) == ["keys"]
    assert len(response.json["keys"]) == 3
    for key in response.json["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert JWT_SECRET not in response.text


def test_the_key_set_is_named_in_the_metadata_and_kept_for_less_time_than_a_key_waits(worker):
    metadata = worker.get("/.well-known/oauth-authorization-server").json
    assert metadata["jwks_uri"] == f"{ISSUER}/oauth/jwks.json"
    response = worker.get("/oauth/jwks.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    kind, _, seconds = response.headers["Cache-Control"].partition(", max-age=")
    assert kind == "public"
    assert 0 < int(seconds) < PUBLISHED_FIRST
    assert worker.send("HEAD", "/oauth/jwks.json").status_code == 200
    assert [worker.send(method, "/oauth/jwks.json").status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3


def test_without_key_pairs_no_key_set_is_named_or_served(worker, open_gateway):
    with_secret = open_gateway()
    assert "jwks_uri" not in with_secret.get("/.well-known/oauth-authorization-server").json
    assert with_secret.get("/oauth/jwks.json", headers={"Accept": "text/html"}).json["error"] == "invalid_request"
    assert with_secret.get("/oauth/jwks.json").status_code == 404


# How keys come and go


def test_the_first_key_is_made_once_and_signs_at_once(open_gateway, clock):
    workers = [open_gateway(JWT_ALGORITHM="ES256") for _ in range(4)]
    start, made = threading.Barrier(len(workers)), []

    def make(worker):
        start.wait()
        made.append(worker.services.key_records.create_first())

    run_all([threading.Thread(target=make, args=(worker,)) for worker in workers])
    [first] = [key for key in made if key]
    assert {worker.services.signing_keys.active.kid for worker in workers} == {first.kid}


def test_a_new_key_is_published_before_it_signs_and_the_former_verifies_after_it_signed(worker, token_of, clock):
    before = token_of(worker)
    new = worker.services.key_records.rotate().kid
    follow(worker)
    assert kids(worker) == [new, kid_of(before)]
    clock.advance(PUBLISHED_FIRST - 1)
    meanwhile = token_of(worker)
    assert kid_of(meanwhile) == kid_of(before)
    clock.advance(2)
    after = token_of(worker)
    assert kid_of(after) == new
    assert all(worker.opens(token) for token in (before, meanwhile, after))


def test_a_key_succeeds_the_others_also_when_it_is_made_where_the_clock_is_behind(worker, clock):
    first = worker.services.signing_keys.active.kid
    clock.advance(-40)
    second = worker.services.key_records.rotate().kid
    third = worker.services.key_records.rotate().kid
    follow(worker)
    assert kids(worker) == [third, second, first]
    assert worker.services.signing_keys.active.kid == first
    clock.advance(41 + PUBLISHED_FIRST)
    assert worker.services.signing_keys.active.kid == third


def test_a_retired_key_does_not_sign_whatever_order_the_keys_are_in(worker, clock):
    store, first = worker.services.registry.signing_keys, worker.services.key_records.all()[0]
    second = replace(KeyWrapping(JWT_SECRET).new(clock()), created_at=first.created_at - 1)
    store.succeed(second, second.created_at + PUBLISHED_FIRST)
    clock.advance(PUBLISHED_FIRST)
    follow(worker)
    assert worker.services.signing_keys.active.kid == second.kid


def test_a_retired_key_verifies_until_its_last_token_has_ended_and_is_removed_then(open_es256, clock):
    worker = open_es256(ACCESS_TOKEN_LIFETIME="86400")
    client = worker.add_client(SECRET, grant_types=("client_credentials",))
    old = worker.services.signing_keys.active.kid
    new = worker.services.key_records.rotate().kid
    clock.advance(PUBLISHED_FIRST - 1)
    last = worker.token({"grant_type": "client_credentials"} | client.proof).json["access_token"]
    assert kid_of(last) == old
    clock.advance(86_400)
    assert worker.services.key_records.sweep() == []
    follow(worker)
    assert worker.opens(last)
    clock.advance(KEPT - 86_400 + 1)
    assert worker.services.key_records.sweep() == [old]
    assert worker.services.key_records.sweep() == []
    follow(worker)
    assert kids(worker) == [new]


def test_keys_are_kept_for_the_longest_lifetime_that_a_token_may_have():
    accepted = Settings.from_environ({**ENVIRON, "ACCESS_TOKEN_LIFETIME": "86400"})
    assert accepted.access_token_lifetime + 30 < KEPT
    with pytest.raises(ConfigurationError):
        Settings.from_environ({**ENVIRON, "ACCESS_TOKEN_LIFETIME": "86401"})


def test_the_last_key_is_never_swept_away(worker, token_of, clock):
    new = worker.services.key_records.rotate()
    worker.services.key_records.remove(new.kid)
    clock.advance(PUBLISHED_FIRST + KEPT + 1)
    assert worker.services.key_records.sweep() == []
    assert worker.opens(token_of(worker))


def test_a_removed_key_takes_its_tokens_with_it_also_those_just_verified(worker, token_of, clock):
    old_token = token_of(worker)
    worker.services.key_records.rotate()
    assert worker.opens(old_token)
    assert worker.services.key_records.remove(kid_of(old_token))
    follow(worker)
    assert not worker.opens(old_token)
    assert kid_of(old_token) not in kids(worker)
    assert worker.opens(token_of(worker))  # the new key is alone now, and does not wait


def test_what_is_remembered_of_verified_tokens_is_forgotten_when_the_keys_change(worker, token_of):
    token, keys = token_of(worker), worker.services.signing_keys
    assert worker.opens(token)
    assert token in keys.ring.remembered
    follow(worker)
    assert token in keys.ring.remembered
    worker.services.key_records.rotate()
    follow(worker)
    assert keys.ring.remembered == {}


# Several workers


def test_two_workers_agree_once_they_have_followed(worker, open_es256, token_of, clock):
    other = open_es256()
    assert kids(worker) == kids(other)
    worker.services.key_records.rotate()
    follow(worker, other)
    clock.advance(PUBLISHED_FIRST)
    tokens = [token_of(worker), token_of(other)]
    assert kid_of(tokens[0]) == kid_of(tokens[1]) == kids(worker)[0]
    assert kids(worker) == kids(other)
    assert all(each.opens(token) for each in (worker, other) for token in tokens)
    worker.services.key_records.remove(kids(worker)[0])
    follow(worker, other)
    assert not any(each.opens(token) for each in (worker, other) for token in tokens)


def test_a_worker_that_lags_behind_looks_for_a_key_before_it_refuses_a_token(worker, open_es256, token_of, clock):
    lagging = open_es256()
    assert lagging.opens(token_of(worker))
    worker.services.key_records.rotate()
    follow(worker)
    clock.advance(PUBLISHED_FIRST)
    token = token_of(worker)
    start, opened = threading.Barrier(6), []

    def ask():
        start.wait()
        opened.append(lagging.opens(token))

    run_all([threading.Thread(target=ask) for _ in range(6)])
    assert opened == [True] * 6


def test_made_up_key_ids_do_not_become_questions_to_the_database(worker, token_of, monkeypatch, clock):
    _, claims, signature = token_of(worker).split(".")
    asked, store = [], worker.services.key_records._store
    everything = store.all
    monkeypatch.setattr(store, "all", lambda: asked.append(1) or everything())
    for number in range(50):
        made_up = b64({"alg": "ES256", "typ": "at+jwt", "kid": f"{number:043}"})
        assert not worker.opens(f"{made_up}.{claims}.{signature}")
    assert len(asked) <= 1
    assert not worker.opens(f"{b64({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'short'})}.{claims}.{signature}")
    assert len(asked) <= 1


def test_a_rotation_while_requests_run_fails_none_of_them(worker, open_es256, token_of, clock):
    workers = [worker, open_es256()]
    first = token_of(worker)
    ended, failed, seen = threading.Event(), [], set()

    def load(mine, other):
        while not ended.is_set():
            try:
                token = token_of(mine)
                seen.add(kid_of(token))
                if not (mine.opens(token) and other.opens(token)):
                    failed.append(token)
            except BaseException as error:
                failed.append(error)
                raise

    threads = [threading.Thread(target=load, args=(mine, other)) for mine, other in (workers, workers[::-1]) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            worker.services.key_records.rotate()
            for _ in range(10):
                clock.advance(PUBLISHED_FIRST / 8)
                follow(*workers)
            expected = workers[0].services.signing_keys.active.kid
            wait_until(lambda expected=expected: expected in seen)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert len(seen) == 4
    assert worker.opens(first)


def wait_until(condition, seconds=20):
    waiting = threading.Event()
    for _ in range(seconds * 100):
        if condition():
            return
        waiting.wait(0.01)
    pytest.fail("it did not come about")


def run_all(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# The two algorithms side by side


def test_tokens_stay_valid_when_the_algorithm_is_switched_and_switched_back(worker, open_gateway, token_of, clock):
    with_secret = open_gateway()
    by_secret, by_key = token_of(with_secret), token_of(worker)
    assert (header_of(by_secret)["alg"], header_of(by_key)["alg"]) == ("HS256", "ES256")
    for after in (with_secret, worker, open_gateway(), open_gateway(JWT_ALGORITHM="ES256")):
        assert after.opens(by_secret)
        assert after.opens(by_key)
    clock.advance(3_631)
    for after in (with_secret, worker):
        assert not after.opens(by_secret)
        assert not after.opens(by_key)


def test_tokens_of_previous_secrets_stay_valid_too(worker, open_gateway, open_es256, token_of):
    by_secret = token_of(open_gateway())
    after = open_es256(JWT_SECRET=OTHER_JWT_SECRET, JWT_SECRET_PREVIOUS=JWT_SECRET)
    assert after.opens(by_secret)


def public_forms(worker):
    """Everything an attacker has of a key: as JWK, as PEM, as DER, as a key set."""
    response = worker.get("/oauth/jwks.json")
    [jwk] = response.json["keys"]
    key = ECKey.import_key(jwk)
    return [json.dumps(jwk).encode(), json.dumps(jwk, separators=(",", ":")).encode(), response.data, key.as_pem(private=False),
            key.as_pem(private=False).strip(), key.as_der(private=False), unb64(jwk["x"]), unb64(jwk["x"]) + unb64(jwk["y"]),
            b"\x04" + unb64(jwk["x"]) + unb64(jwk["y"]), jwk["kid"].encode(), b""]


@pytest.mark.requirement("BRR-012")
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_secret_to_sign_with(worker, token_of, algorithm):
    token = token_of(worker)
    claims = token.split(".")[1]
    for kid in (kid_of(token), worker.services.signing_keys._secret_keys[0].kid):
        for key in public_forms(worker):
            signing_input = f"{b64({'alg': algorithm, 'typ': 'at+jwt', 'kid': kid})}.{claims}"
            forged = hmac.new(key, signing_input.encode(), algorithm.replace("HS", "sha")).digest()
            assert not worker.opens(f"{signing_input}.{b64(forged)}")


@pytest.mark.requirement("BRR-012")
def test_a_key_id_chooses_the_key_and_the_key_dictates_the_algorithm(worker, token_of):
    _, claims, signature = token_of(worker).split(".")
    pair, secret_kid = worker.services.signing_keys.active, worker.services.signing_keys._secret_keys[0].kid
    our_secret = derive_key(JWT_SECRET, "at+jwt v1")

    def by_secret(header):
        signing_input = f"{b64(header)}.{claims}"
        return f"{signing_input}.{b64(hmac.digest(our_secret, signing_input.encode(), 'sha256'))}"

    assert worker.opens(by_secret({"alg": "HS256", "typ": "at+jwt", "kid": secret_kid}))
    for algorithm, kid in (("HS256", pair.kid), ("ES256", pair.kid), ("ES256", secret_kid), ("none", secret_kid)):
        assert not worker.opens(by_secret({"alg": algorithm, "typ": "at+jwt", "kid": kid}))
    payload = json.loads(unb64(claims))
    for algorithm, kid in (("ES256", secret_kid), ("ES256", ""), ("ES256", "x" * 43)):
        assert not worker.opens(jwt.encode({"alg": algorithm, "typ": "at+jwt", "kid": kid}, payload, pair, algorithms=["ES256"]))
    for algorithm in ("none", "None", "", "HS256", "ES384", "ES512", "RS256", "es256", "EdDSA", None, 0):
        for tail in (signature, ""):
            assert not worker.opens(f"{b64({'alg': algorithm, 'typ': 'at+jwt', 'kid': pair.kid})}.{claims}.{tail}")


def test_a_key_is_not_even_given_out_for_another_algorithm(worker):
    keys = worker.services.signing_keys
    for key in keys.ring.verifying.values():
        assert keys.verifying({"alg": key.alg, "kid": key.kid}) is key
        for algorithm in {"HS256", "ES256", "none", None} - {key.alg}:
            with pytest.raises(InvalidToken):
                keys.verifying({"alg": algorithm, "kid": key.kid})


@pytest.mark.requirement("BRR-010")
def test_signatures_of_other_key_pairs_are_refused(worker, token_of, clock):
    token = token_of(worker)
    header, payload = header_of(token), json.loads(unb64(token.split(".")[1]))
    stranger = ECKey.generate_key("P-256", private=True)
    public = stranger.as_dict(private=False)
    for added in ({}, {"jwk": public}, {"kid": stranger.thumbprint()}, {"kid": stranger.thumbprint(), "jwk": public}):
        signing_input = f"{b64({**header, **added})}.{b64(payload)}"
        signature = jwt.encode(header, payload, stranger, algorithms=["ES256"]).split(".")[2]
        assert not worker.opens(f"{signing_input}.{signature}")
    assert not worker.opens(jwt.encode(header, payload, stranger, algorithms=["ES256"]))
    for zeros in (b"\0" * 64, b"\0" * 63 + b"\1", b""):  # CVE-2022-21449
        assert not worker.opens(f"{token.rpartition('.')[0]}.{b64(zeros)}")


@pytest.mark.requirement("BRR-019")
def test_a_token_under_a_key_pair_has_one_spelling(worker, token_of):
    token = token_of(worker)
    rest, _, signature = token.rpartition(".")
    spare_bits = [signature[:-1] + LETTERS[LETTERS.index(signature[-1]) ^ bit] for bit in (1, 2, 4, 8)]
    for spoilt in (*spare_bits, signature + "=", signature + "==", signature + "A", signature[:-1], signature[:43], signature + signature):
        assert not worker.opens(f"{rest}.{spoilt}")
    assert worker.opens(token)


# At rest


def test_a_copy_of_the_database_holds_no_private_key_that_can_be_read(worker, data_folder):
    worker.services.key_records.rotate()
    records = worker.services.key_records.all()
    worker.services.close()
    dump = b"".join(path.read_bytes() for path in data_folder.iterdir())
    assert len(records) == 2
    for record in records:
        pair = worker.services.key_records.unwrap(record)
        private = unb64(pair.as_dict(private=True)["d"])
        assert record.kid.encode() in dump
        for form in (private, private.hex().encode(), b64(private).encode(), base64.b64encode(private), str(int.from_bytes(private)).encode()):
            assert form not in dump
    assert b"PRIVATE KEY" not in dump
    assert JWT_SECRET.encode() not in dump


def test_keys_survive_a_change_of_the_secret_and_are_encrypted_anew(worker, open_gateway, token_of, client):
    token, kid = token_of(worker), worker.services.signing_keys.active.kid
    during = open_gateway(JWT_ALGORITHM="ES256", JWT_SECRET=OTHER_JWT_SECRET, JWT_SECRET_PREVIOUS=JWT_SECRET)
    assert during.opens(token)
    assert kid_of(token_of(during)) == kid
    assert [during.services.key_records.rewrap(), during.services.key_records.rewrap()] == [[kid], []]
    after = open_gateway(JWT_ALGORITHM="ES256", JWT_SECRET=OTHER_JWT_SECRET)
    assert after.opens(token)
    assert kid_of(token_of(after)) == kid


def test_a_rotation_encrypts_the_former_keys_anew(worker, open_gateway, token_of):
    token = token_of(worker)
    open_gateway(JWT_ALGORITHM="ES256", JWT_SECRET=OTHER_JWT_SECRET, JWT_SECRET_PREVIOUS=JWT_SECRET).services.key_records.rotate()
    assert open_gateway(JWT_ALGORITHM="ES256", JWT_SECRET=OTHER_JWT_SECRET).opens(token)


def test_keys_of_an_unknown_secret_sign_nothing_and_the_next_rotation_mends_it(worker, open_gateway, token_of, log):
    token = token_of(worker)
    after = open_gateway(JWT_ALGORITHM="ES256", JWT_SECRET=OTHER_JWT_SECRET)
    client = after.add_client(SECRET, grant_types=("client_credentials",))
    request = {"grant_type": "client_credentials"} | client.proof
    response = after.token(request)
    assert (response.status_code, response.json["error"]) == (503, "temporarily_unavailable")
    assert not after.opens(token)
    assert kids(after) == []
    assert "cannot be read: is the JWT_SECRET it was made under in JWT_SECRET_PREVIOUS?" in log.text
    after.services.key_records.rotate()
    follow(after)
    assert after.opens(after.token(request).json["access_token"])


def test_a_row_that_holds_another_key_than_it_names_is_not_used(worker, data_folder, open_es256):
    first, store = worker.services.key_records.all()[0], worker.services.registry.signing_keys
    second = worker.services.key_records.rotate()
    store.rewrap(second.kid, first.encrypted_jwk)
    assert kids(open_es256()) == [first.kid]
    store.rewrap(second.kid, "garbage")
    assert kids(open_es256()) == [first.kid]
    store.add_first(replace(first, kid="x"))
    assert kids(open_es256()) == [first.kid]


# Without the database


def test_a_worker_that_knows_its_keys_needs_no_database_to_verify(worker, token_of, monkeypatch):
    token = token_of(worker)
    break_down(worker, monkeypatch)
    follow(worker)
    assert worker.opens(token)
    assert worker.get("/oauth/jwks.json").status_code == 200


def test_a_worker_that_cannot_read_the_keys_yet_says_503_and_not_that_a_token_is_bad(worker, token_of, open_es256, open_gateway, monkeypatch):
    token = token_of(worker)
    fresh = open_gateway(JWT_ALGORITHM="ES256")
    with monkeypatch.context() as patch:
        break_down(fresh, patch)
        response = fresh.mcp(token=token)
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert fresh.get("/oauth/jwks.json").status_code == 503
        assert fresh.mcp(token="a.b.c").status_code == 401
        assert fresh.mcp(token=DCR_TOKEN).status_code == 401
    assert fresh.opens(token)


def break_down(worker, patch):
    def unavailable():
        raise StoreUnavailable(detail="switched off by a test")

    patch.setattr(worker.services.key_records._store, "all", unavailable)
