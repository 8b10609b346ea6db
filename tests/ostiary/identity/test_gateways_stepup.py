"""Step-up behind real gateways: a browser is sent to the gate's page, and back."""

import http.client
import re
import threading
import time
from base64 import b32decode
from collections.abc import Callable, Iterator
from contextlib import closing
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from click.testing import CliRunner

from ostiary.cli import cli
from policy.identity import totp

pytestmark = [pytest.mark.server, pytest.mark.slow]

WAYS = ("nginx", "caddy", "traefik", "haproxy", "envoy")
BROWSER = {"Accept": "text/html,*/*", "Host": "app.example", "Origin": "https://app.example"}
Make = Callable[..., Any]


class Application(BaseHTTPRequestHandler):
    """Says that it was reached."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"the application")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def running(make_fed_gate: Make, gateways: Any, tmp_path: Path) -> Iterator[tuple[Any, dict[str, int]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    asks = gateways.asked_at(tmp_path)
    lines = "".join(f'{name} = "{address}"\n' for name, address in asks.items())
    routes = '[gate.routes."/admin"]\nsensitivity = "sensitive"\n'
    gate = make_fed_gate(
        tmp_path, f'mode = "enforce"\n{lines}{routes}', {"127.0.0.1": 0.1}, identity='step_up = "page"'
    )
    try:
        gate.start_feed()
        gate.start()
        with gateways.started(WAYS, gate, asks, server.server_port) as ports:
            yield gate, ports
    finally:
        gate.stop()
        gate.stop_feed()
        server.shutdown()
        server.server_close()
        serving.join()


def ask(port: int, method: str, path: str, fields: dict[str, str] | None = None, cookie: str = "") -> Any:
    """Return status, headers and text."""
    headers = {**BROWSER, **({"Cookie": cookie} if cookie else {})}
    if fields:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, urlencode(fields) if fields else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def test_a_browser_goes_to_the_page_and_back_behind_each(running: tuple[Any, dict[str, int]]) -> None:
    gate, ports = running
    for number, way in enumerate(WAYS):
        user, port = f"user{number}", ports[way]
        end = time.monotonic() + 60
        while ask(port, "GET", "/")[2] != "the application":
            assert time.monotonic() < end, way
            time.sleep(0.05)
        config = str(gate.folder / "ostiary.toml")
        told = CliRunner().invoke(cli, ["gateway", "enrol", user, "--config", config])
        secret = b32decode(parse_qs(urlsplit(told.stdout.strip()).query)["secret"][0])

        status, headers, _ = ask(port, "GET", "/admin/users?page=2")
        assert status == 302, (way, status)
        where = urlsplit(headers["location"])
        target = f"{where.path}?{where.query}"
        assert where.path == "/.ostiary/step-up", way
        status, headers, text = ask(port, "GET", target)
        assert (status, "default-src 'none'" in headers["content-security-policy"]) == (200, True), way
        form = unescape(re.findall(r'name="form" value="(.+?)"', text)[0])
        code = totp.code(secret, int(time.time()) // totp.STEP_S)
        status, headers, _ = ask(port, "POST", target, {"form": form, "name": user, "code": code})
        assert (status, headers.get("location")) == (303, "/admin/users?page=2"), way
        cookie = headers["set-cookie"].partition(";")[0]
        assert ask(port, "GET", "/admin/users?page=2", cookie=f"theme=dark; {cookie}")[2] == "the application", way
        assert ask(port, "GET", "/admin/", cookie="theme=dark")[0] == 302, way
