"""Bundles over HTTP: fetched once, signed always, and never from a server that lies about them."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from policy import download as fetching
from policy.activation import Activations
from policy.bundles import Bundle, load_bundle, number
from policy.download import download
from policy.errors import BundleError, SignatureError
from policy.judge import Judgement
from policy.signing import sign
from policy.sources import SIGNATURES, pack

KEY = ed25519.Ed25519PrivateKey.generate()


@dataclass
class Server:
    """An HTTP server on loopback that answers as it is told."""

    url: str = ""
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    served: list[int] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as told:
        yield told


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            same = told.headers.get("ETag", "") == self.headers.get("If-None-Match", "none")
            status = 304 if same else told.status
            told.served.append(status)
            self.send_response(status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if not same:
                self.wfile.write(told.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        if context:
            http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        told.url = f"http{'s' if context else ''}://localhost:{http.server_port}/b.tar.gz"
        yield told
        http.shutdown()
        thread.join()


def good(bundle: Bundle) -> Judgement:
    return Judgement(bundle.revision, bundle.epoch, 0, 0, False, ())


def signed(epoch: int) -> bytes:
    files = number(load_bundle().files, epoch)
    return pack({**files, SIGNATURES: sign(files, KEY)})


def test_what_did_not_change_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    activations = Activations(tmp_path / "policy", [KEY.public_key()])
    server.body, server.headers = signed(1), {"ETag": '"one"'}
    fetched = activations.fetch(server.url)
    assert fetched is not None and fetched[1] == '"one"'
    activations.activate(fetched[0], good, server.url, fetched[1])
    assert activations.fetch(server.url) is None
    assert server.served == [200, 304]
    server.body, server.headers = signed(2), {"ETag": '"two"'}
    again = activations.fetch(server.url)
    assert again is not None and again[0].epoch == 2


@pytest.mark.server
def test_over_https_with_a_certificate_that_is_known(
    tmp_path: Path, make_certificate: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(context) as server:
        server.body = signed(1)
        with pytest.raises(BundleError, match="certificate"):
            download(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert download(server.url).packed == server.body


def test_nothing_is_fetched_without_keys(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SignatureError):
        Activations(tmp_path / "policy").fetch(server.url)
    assert server.served == []


def test_an_address_is_a_source_to_look_at(server: Server) -> None:
    server.body = signed(1)
    assert load_bundle(server.url).revision == load_bundle().revision


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {}, b""),
        (500, {}, b""),
        (304, {}, b""),
        (302, {"Location": "file:///etc/passwd"}, b""),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
        (200, {"Content-Length": "1000000"}, b"cut"),
    ],
)
def test_other_answers_are_errors(server: Server, status: int, headers: dict[str, str], body: bytes) -> None:
    server.status, server.headers, server.body = status, headers, body
    with pytest.raises(BundleError):
        download(server.url)


def test_downloads_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BUNDLE_BYTES", 1_000)
    server.body = bytes(1_001)
    with pytest.raises(BundleError, match="larger"):
        download(server.url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://", "https://[::1", "http://127.0.0.1:x/", "file:///etc/passwd"]
)
def test_nobody_there(url: str) -> None:
    with pytest.raises(BundleError):
        download(url)
