"""A browser, a real gate, and a provider in memory: there and back, and everything that can be made of it."""

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

ROUTES = 'mode = "enforce"\n[gate.routes."/admin/"]\nsensitivity = "sensitive"\n'
Make = Callable[..., Any]


class Provider(ThreadingHTTPServer):
    """Redeems codes as RFC 6749 and RFC 7636 want it."""

    def __init__(self, issuer: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Endpoint)
        self.issuer, self.codes, self.asked = issuer, dict[str, dict[str, str]](), list[dict[str, str]]()
        self.claims: dict[str, Any] = {}
        self.broken = False

    def log_in(self, location: str) -> str:
        """Be the user who logs in; return the code."""
        told = {name: value[0] for name, value in parse_qs(urlsplit(location).query).items()}
        code = f"code-{len(self.asked)}-{len(self.codes)}-s3cr3t"
        self.asked.append(told)
        self.codes[code] = told
        return code


class _Endpoint(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        form = {name: value[0] for name, value in parse_qs(self.rfile.read(length).decode()).items()}
        told = self.server.codes.pop(form["code"], None)
        proof = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        secret = base64.b64encode(b"ostiary:geh%2Feim").decode()
        good = (
            told is not None and proof == told["code_challenge"] and form["redirect_uri"] == told["redirect_uri"]
            and self.headers["Authorization"] == f"Basic {secret}" and not self.server.broken
        )  # fmt: skip
        answer: dict[str, Any] = {"error": "invalid_grant"}
        if good and told is not None:
            claims = {"aud": "ostiary", "nonce": told["nonce"], "auth_time": int(time.time()), "acr": "mfa"}
            answer = {"id_token": self.server.issuer.token(**claims | self.server.claims), "access_token": "x"}
        self.send_response(200 if good else 400)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments: object) -> None:
        pass


class House:
    """A gate that sends browsers to a provider."""

    def __init__(self, fed_gate: Make, kit: Any, issuer: Any, key_file: Path, provider: Provider) -> None:
        self.provider = provider
        (key_file.parent / "secret").write_text("geh/eim\n")
        at = f"http://127.0.0.1:{provider.server_port}"
        told = {
            "client_id": "ostiary", "client_secret_file": str(key_file.parent / "secret"),
            "authorize_url": f"{at}/authorize?tenant=1", "token_url": f"{at}/token",
            "callback_url": "https://app.example/.ostiary/callback", "acr_values": "phr mfa",
        }  # fmt: skip
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items())
        self.settings = f'step_up = "oidc"\n{kit.issuers(key_file)}[identity.providers."{issuer.name}"]\n{lines}'
        self.gate = fed_gate(ROUTES, {"192.0.2.7": 0.1, "192.0.2.8": 0.1}, identity=self.settings)
        self.login = ""
        """The cookie of the login."""

    def get(self, path: str, cookie: str = "", address: str = "192.0.2.7") -> tuple[int, dict[str, str], str]:
        headers = {
            "X-Real-IP": address, "X-Original-Method": "GET", "X-Ostiary-Route": "/admin/", "Accept": "text/html",
            "X-Original-URI": "/admin/?a=b", "Cookie": cookie,
        }  # fmt: skip
        with closing(http.client.HTTPConnection("127.0.0.1", self.gate.port, timeout=20)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

    def begin(self) -> str:
        """Go to the provider; return its address."""
        status, headers, _ = self.get("/auth-request")
        assert status == 401
        status, headers, _ = self.get(headers["x-ostiary-location"])
        assert status == 302
        self.login = headers["set-cookie"].partition(";")[0]
        return headers["location"]

    def back(self, location: str, code: str, **more: str) -> tuple[int, dict[str, str], str]:
        state = parse_qs(urlsplit(location).query)["state"][0]
        cookie, address = more.pop("cookie", self.login), more.pop("address", "192.0.2.7")
        return self.get(f"/.ostiary/callback?{urlencode({'code': code, 'state': state} | more)}", cookie, address)


@pytest.fixture
def house(fed_gate: Make, kit: Any, issuer: Any, key_file: Path) -> Iterator[House]:
    with Provider(issuer) as provider:
        thread = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield House(fed_gate, kit, issuer, key_file, provider)
        finally:
            provider.shutdown()
            thread.join()


def test_there_and_back(house: House, tmp_path: Path) -> None:
    location = house.begin()
    assert location.startswith(f"http://127.0.0.1:{house.provider.server_port}/authorize?tenant=1&response_type=code")
    code = house.provider.log_in(location)
    assert house.provider.asked[0]["acr_values"] == "phr mfa" and house.provider.asked[0]["max_age"] == "0"
    status, headers, _ = house.back(location, code, iss=house.provider.issuer.name)
    assert (status, headers["location"]) == (303, "/admin/?a=b")
    session = headers["set-cookie"].partition(";")[0]
    assert house.get("/auth-request", session)[0] == 200
    assert house.get("/auth-request", session, "192.0.2.8")[0] == 401
    assert house.back(location, code)[0] == 503  # the provider takes a code once
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "secret"}
    written[Path("records")] = repr(house.gate.taken).encode()
    secrets = [code, session.partition("=")[2], house.login.partition("=")[2], "geh/eim"]
    assert [(path, text) for path, data in written.items() for text in secrets if text.encode() in data] == []


def test_a_login_counts_for_the_browser_that_began_it(house: House) -> None:
    location = house.begin()
    for more in ({"cookie": ""}, {"cookie": "__Host-ostiary-login=another"}, {"address": "192.0.2.8"}):
        assert house.back(location, house.provider.log_in(location), **more)[0] == 400
    assert house.back(location, house.provider.log_in(location), iss="https://evil.example")[0] == 400
    assert house.back(location, "", error="access_denied")[0] == 400
    assert house.back(location, house.provider.log_in(location))[0] == 303


@pytest.mark.parametrize(
    "claims",
    [{"acr": "pwd"}, {"auth_time": 1}, {"nonce": "another"}, {"aud": "app"}, {"iss": "https://evil.example"}],
    ids=lambda claims: next(iter(claims)),
)
def test_what_the_provider_says_has_to_be_what_was_asked(house: House, claims: dict[str, Any]) -> None:
    house.provider.claims = claims
    location = house.begin()
    status, headers, _ = house.back(location, house.provider.log_in(location))
    assert (status, "set-cookie" in headers) == (400, False)
    assert "ostiary_gate_logins_refused_total 1.0" in house.gate.page("/metrics")[1]


def test_a_provider_that_is_out_of_order_ends_nothing_else(house: House) -> None:
    location = house.begin()
    code = house.provider.log_in(location)
    house.provider.broken = True
    assert house.back(location, code)[0] == 503
    assert house.gate.ask("192.0.2.7")[0] == 200


def test_a_code_that_was_put_under_another_login_is_worth_nothing(house: House) -> None:
    """Somebody slips their own code to somebody else's browser (RFC 9700, section 4.5)."""
    theirs = house.provider.log_in(house.begin())
    location = house.begin()
    assert house.back(location, theirs)[0] == 503  # the verifier is another


WRONG = {
    "no provider": ("[identity.providers.", ""),
    "of no issuer": ('providers."https://id.example"', 'providers."https://other.example"'),
    "without TLS": ('token_url = "http://127.0.0.1', 'token_url = "http://id.example'),
    "another way back": ("/.ostiary/callback", "/elsewhere"),
    "no secret": ("/secret", "/nowhere"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_provider_that_cannot_be_used_is_told_at_the_start(house: House, wrong: str) -> None:
    found, put = WRONG[wrong]
    assert found in house.settings
    text = house.settings.replace(found, put) if put else house.settings.partition(found)[0]
    house.gate.stop()
    house.gate.configure(ROUTES, identity=text)
    house.gate.start(ready=False)
    assert house.gate.process.wait(30) == 4
    assert "[identity.error]" in house.gate.log()
