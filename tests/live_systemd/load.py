"""Four questions asked all the time, on connections that stay and on new ones, until a line comes on stdin. Says how many were not answered."""

import contextlib
import http.client
import json
import sys
import threading
import time
import urllib.parse

CLIENT, SECRET = sys.argv[1:]
FORM, MESSAGE = "application/x-www-form-urlencoded", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
ended, took, failed = threading.Event(), [], []


def ask(connection, method, path, body=None, headers=()):
    connection.request(method, path, body, dict(headers))
    with connection.getresponse() as answer:
        return answer.status, answer.read()


def token():
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET})
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)) as connection:
        status, answer = ask(connection, "POST", "/oauth/token", body, {"Content-Type": FORM})
    assert status == 200, answer
    return json.loads(answer)["access_token"]


def keep_asking(question, expected, stays):
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    while not ended.wait(0.1):
        begun = time.monotonic()
        try:
            status, _ = ask(connection, *question)
        except (OSError, http.client.HTTPException) as error:
            status = repr(error)
        if status != expected:
            failed.append(status)
        if status != expected or not stays:
            connection.close()
        took.append(time.monotonic() - begun)
    connection.close()


QUESTIONS = [
    (("GET", "/health/live"), 200), (("GET", "/.well-known/oauth-authorization-server"), 200), (("POST", "/mcp", MESSAGE, JSON), 401),
    (("POST", "/mcp", MESSAGE, {**JSON, "Authorization": f"Bearer {token()}"}), 200)]
threads = [threading.Thread(target=keep_asking, args=(*each, stays)) for each in QUESTIONS for stays in (True, False)]
for thread in threads:
    thread.start()
sys.stdin.readline()
ended.set()
for thread in threads:
    thread.join()
sys.stdout.write(f"{len(took)} requests, {len(failed)} failed, the slowest took {max(took):.1f} s\n")
