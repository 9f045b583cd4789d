"""A web server over real TLS on loopback, with a certificate of an authority that is made here."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """Certifies names, and is trusted by who is given its context."""

    def __init__(self, folder) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test authority")])
        self._file = folder / "authority.pem"
        self._file.write_bytes(self._certificate(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0)))

    def context(self):
        """For a client: trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self._file))

    def trusted_by_this_process(self, monkeypatch):
        """As an operator makes a private authority known to a command."""
        monkeypatch.setenv("SSL_CERT_FILE", str(self._file))

    def server_context(self, name, *, ends_in_days=1.0, signed_by_itself=False):
        key = ec.generate_private_key(ec.SECP256R1())
        file = self._folder / f"{name}.pem"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._certificate(
            subject, key.public_key(), x509.SubjectAlternativeName([x509.DNSName(name)]), ends_in_days, (subject, key) if signed_by_itself else None)
        file.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(file))
        return context

    def _certificate(self, subject, public_key, extension, ends_in_days=1.0, issuer=None):
        now, (issuer_name, issuer_key) = dt.datetime.now(dt.UTC), issuer or (self._name, self._key)
        built = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name).public_key(public_key).serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=100)).not_valid_after(now + dt.timedelta(days=ends_in_days))
            .add_extension(extension, critical=True))
        return built.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


class Web:
    """What the server answers, and what it was asked. `answer(handler)` may be replaced by a test at any time."""

    def __init__(self, name, port) -> None:
        self.url = f"https://{name}:{port}"
        self.port = port
        self.asked, self.hosts, self.names = [], [], []
        self.answer = says({})


def says(body, status=200, **headers):
    """An answer: JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler):
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@contextmanager
def serving(context, name="localhost"):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            web.hosts.append(self.headers["Host"])
            web.answer(self)

        def handle(self):
            with suppress(OSError):  # who hangs up early is no failure here
                super().handle()

        def finish(self):
            with suppress(OSError):
                super().finish()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self):
            connection, address = super().get_request()
            connection.settimeout(10)
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *_):
            pass

    context.sni_callback = lambda _socket, asked_for, _context: web.names.append(asked_for)
    with Server(("127.0.0.1", 0), Handler) as server:
        web = Web(name, server.server_port)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield web
        server.shutdown()
