"""Secret managers on loopback. Amazon's is moto; those of Google, Azure and HashiCorp are stand-ins of ours, which know as much of each API
as the real client libraries ask for here: a token first, then the secret for that token alone."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import boto3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto.server import ThreadedMotoServer

TOKEN = "token-of-the-stand-in"


class StandIn:
    """Answers what `secrets` has: name → list of versions, the last one is the latest. `silent`: it accepts and says nothing."""

    def __init__(self, context=None):
        self.secrets, self.asked, self.silent = {}, [], threading.Event()
        self.ended = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if stand_in.silent.is_set():
                    stand_in.ended.wait(60)
                    self.close_connection = True
                    return
                length = int(self.headers.get("Content-Length") or 0)
                status, body, headers = stand_in.answer(self, self.rfile.read(length).decode())
                stand_in.asked.append((self.command, self.path))
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the base class's name

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def version(self, name, wanted):
        versions = self.secrets.get(name, [])
        number = len(versions) if wanted in (None, "", "latest") else int(wanted)
        return (number, versions[number - 1]) if 0 < number <= len(versions) else (0, None)

    def stop(self):
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Google(StandIn):
    """Secret Manager over REST. Its service account proves itself by a JWT that it signed, which is verified."""

    def environ(self, folder):
        private = rsa.generate_private_key(65537, 2048)
        self._public = private.public_key()
        key = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        account = {"type": "service_account", "project_id": "acme", "private_key_id": "1", "private_key": key, "client_email": "gateway@acme.test",
                   "client_id": "1", "token_uri": f"http://127.0.0.1:{self.port}/token"}
        (folder / "account.json").write_text(json.dumps(account))
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"), "GCP_SM_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    def answer(self, request, _body):
        if not self._signed(request.headers.get("Authorization", "")):
            return 401, {"error": {"code": 401, "message": "no token", "status": "UNAUTHENTICATED"}}, {}
        _, _, _, project, _, secret, _, wanted = urlsplit(request.path).path.removesuffix(":access").split("/")
        number, value = self.version(f"{project}/{secret}", wanted)
        if value is None:
            return 404, {"error": {"code": 404, "message": f"Secret [{secret}] not found.", "status": "NOT_FOUND"}}, {}
        return 200, {"name": f"projects/1/secrets/{secret}/versions/{number}", "payload": {"data": base64.b64encode(value.encode()).decode()}}, {}


    def _signed(self, authorization):
        signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
        try:
            self._public.verify(base64.urlsafe_b64decode(signature + "=="), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True


class Azure(StandIn):
    """Key Vault, and the managed identity's endpoint, which is http."""

    def __init__(self, tls):
        super().__init__(tls.server_context("localhost"))
        self.identity = AzureIdentity()

    def environ(self, authority):
        return {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.identity.port}/token", "IDENTITY_HEADER": "x", "REQUESTS_CA_BUNDLE": str(authority)}

    def answer(self, request, _body):
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            challenge = 'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"'
            return 401, {"error": {"code": "Unauthorized"}}, {"WWW-Authenticate": challenge}
        _, _, name, *version = urlsplit(request.path).path.rstrip("/").split("/")
        number, value = self.version(name, version[0] if version else None)
        if value is None:
            return 404, {"error": {"code": "SecretNotFound", "message": f"A secret with (name/id) {name} was not found in this key vault."}}, {}
        return 200, {"value": value, "id": f"https://localhost:{self.port}/secrets/{name}/{number}", "attributes": {"enabled": True}}, {}

    def stop(self):
        super().stop()
        self.identity.stop()


class AzureIdentity(StandIn):
    def answer(self, _request, _body):
        return 200, {"access_token": TOKEN, "expires_on": "4102444800", "resource": "https://vault.azure.net", "token_type": "Bearer"}, {}


class Vault(StandIn):
    """A key/value engine of version 2 at `secret/`, with a token or AppRole."""

    def environ(self):
        return {"VAULT_ADDR": f"http://127.0.0.1:{self.port}", "VAULT_TOKEN": TOKEN}

    def answer(self, request, body):
        parts = urlsplit(request.path)
        if parts.path == "/v1/auth/approle/login":
            good = json.loads(body) == {"role_id": "role", "secret_id": "secret"}
            return (200, {"auth": {"client_token": TOKEN}}, {}) if good else (400, {"errors": ["invalid role or secret ID"]}, {})
        if request.headers.get("X-Vault-Token") != TOKEN:
            return 403, {"errors": ["permission denied"]}, {}
        number, value = self.version(parts.path.removeprefix("/v1/secret/data/"), parse_qs(parts.query).get("version", [None])[0])
        if value is None:
            return 404, {"errors": []}, {}
        return 200, {"data": {"data": value, "metadata": {"version": number}}}, {}


class Amazon:
    """moto."""

    def __init__(self):
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.client = boto3.client(
            "secretsmanager", endpoint_url=self.url, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")

    def environ(self):
        return {"AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url, "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}

    def put(self, name, *versions):
        """The ids of the versions."""
        first, *others = versions
        made = [self.client.create_secret(Name=name, SecretString=first)["VersionId"]]
        return made + [self.client.put_secret_value(SecretId=name, SecretString=each)["VersionId"] for each in others]

    def stop(self):
        self._server.stop()
