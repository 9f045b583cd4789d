"""What nothing of ours can be faster than: one Flask route that reads the call and returns the same JSON.

No token is looked at, nothing is counted, no line is written.
"""

from gevent import monkey; monkey.patch_all()
# ruff: noqa: E402, E702, I001 -- patched before anything that opens a socket is imported

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/mcp")
def mcp() -> Response:
    call = request.get_json()
    return jsonify({
        "jsonrpc": "2.0", "id": call["id"], "result": {"content": [{"type": "text", "text": call["params"]["arguments"]["message"]}]}})
