"""Fetching: from where, how much, and that nobody is led elsewhere."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ostiary.identity.fetch import MAX_BYTES, apart, check_address, fetch
from ostiary.identity.keyring import RETRY_S, Keyring
from policy.errors import IdentityError


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    handler = type("Handler", (BaseHTTPRequestHandler,), {"do_GET": answer, "log_message": lambda *_: None})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()
            thread.join()


def say(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    "url",
    ["http://id.example/keys", "ftp://id.example/", "file:///etc/passwd", "https://", "http://127.0.0.1.example/",
     "http://[::1", "http://localhost.example/"],
)  # fmt: skip
def test_addresses_that_are_not_fetched_from(url: str) -> None:
    with pytest.raises(IdentityError, match=r"https address|no address"):
        check_address(url)


@pytest.mark.parametrize(
    "url", ["https://id.example/keys", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/"]
)
def test_addresses_that_are(url: str) -> None:
    assert check_address(url) == url


def test_what_is_there_comes_whole() -> None:
    with serving(say(200, b"x" * MAX_BYTES)) as url:
        assert fetch(url) == b"x" * MAX_BYTES


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (say(200, b"x" * (MAX_BYTES + 1)), "more than"),
        (say(302, Location="http://127.0.0.1:1/elsewhere"), "302"),
        (say(500), "500"),
        (lambda handler: handler.wfile.write(b"not HTTP\r\n\r\n"), "cannot be fetched"),
    ],
    ids=["too much", "elsewhere", "an error", "no HTTP"],
)
def test_answers_that_are_none(answer: Callable[[BaseHTTPRequestHandler], None], told: str) -> None:
    with serving(answer) as url, pytest.raises(IdentityError, match=told):
        fetch(url)


def test_what_fails_apart_is_raised_where_it_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(apart(lambda: 1 // 0))


def test_a_key_that_is_missing_is_fetched_early_but_not_often(kit: object, tmp_path: Path) -> None:
    issuer, asked, said = kit.Issuer(), [], []  # type: ignore[attr-defined]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        say(200, issuer.key_set())(handler)

    async def live(ring: Keyring) -> None:
        await ring.refresh(1000.0, said.append)
        assert ring.keys.find("one") is not None
        await ring.refresh(1001.0, said.append)
        assert len(asked) == 1
        assert ring.keys.find("two") is None  # somebody asks for it
        await ring.refresh(1000.0 + RETRY_S - 1, said.append)
        assert len(asked) == 1
        await ring.refresh(1000.0 + RETRY_S, said.append)
        assert len(asked) == 2
        await ring.refresh(1001.0 + RETRY_S, said.append)
        assert len(asked) == 2 and said == []

    with serving(answer) as url:
        asyncio.run(live(Keyring(url, "ES256", tmp_path)))
        assert Keyring(url, "ES256", tmp_path).keys.find("one") is not None  # without asking anybody
        assert len(Keyring(url, "EdDSA", tmp_path).keys) == 0
