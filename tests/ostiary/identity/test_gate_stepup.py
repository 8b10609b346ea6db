"""The step-up page behind a real gate of several processes, and behind nginx."""

import base64
import http.client
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from click.testing import CliRunner

from ostiary.cli import cli
from policy.identity import totp

ROOT = Path(__file__).parents[3]
ROUTES = '[gate.routes."/admin/"]\nsensitivity = "sensitive"\n'
"""The shipped policy wants a proven identity there."""
BROWSER = {"Accept": "text/html,*/*"}
Make = Callable[..., Any]
Answer = tuple[int, dict[str, str], str]


def secret_of(gate: Any, user: str) -> bytes:
    """Enrol a user and return the secret."""
    told = CliRunner().invoke(cli, ["gateway", "enrol", user, "--config", str(gate.folder / "ostiary.toml")])
    return base64.b32decode(parse_qs(urlsplit(told.stdout.strip()).query)["secret"][0])


def ask(port: int, method: str, path: str, headers: dict[str, str], fields: dict[str, str] | None = None) -> Answer:
    body = urlencode(fields) if fields else None
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def form_of(text: str) -> str:
    return unescape(re.findall(r'name="form" value="(.+?)"', text)[0])


def question(uri: str = "/admin/?a=b", cookie: str = "") -> dict[str, str]:
    return {
        "X-Real-IP": "192.0.2.7", "X-Original-Method": "GET", "X-Ostiary-Route": "/admin/", "X-Original-URI": uri,
        "Cookie": cookie, **BROWSER,
    }  # fmt: skip


def test_a_code_opens_every_process_and_counts_in_one(fed_gate: Make, kit: Any, tmp_path: Path) -> None:
    gate = fed_gate(f'mode = "enforce"\nprocesses = 3\n{ROUTES}', {"192.0.2.7": 0.1}, identity='step_up = "page"')
    kit.until(lambda: gate.log().count("answers on") == 3, "three processes")
    kit.until(lambda: gate.ask(route="/")[0] == 200, "the policy")
    secret = secret_of(gate, "alice")
    _, headers, _ = kit.until(
        lambda: (found := ask(gate.port, "GET", "/auth-request", question()))[0] == 401 and found, "the policy's answer"
    )
    where = headers["x-ostiary-location"]
    page = {"X-Real-IP": "192.0.2.7", "Sec-Fetch-Site": "same-origin"}
    forms = [form_of(ask(gate.port, "GET", where, page)[2]) for _ in range(8)]
    code = totp.code(secret, int(time.time()) // totp.STEP_S)
    answers: list[Answer] = []

    def post(form: str) -> None:
        answers.append(ask(gate.port, "POST", where, page, {"form": form, "name": "alice", "code": code}))

    threads = [threading.Thread(target=post, args=(form,)) for form in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _, _ in answers) == [303] + [403] * 7
    ((_, headers, _),) = [answer for answer in answers if answer[0] == 303]
    assert headers["location"] == "/admin/?a=b"
    cookie = headers["set-cookie"].partition(";")[0]
    for _ in range(12):  # whichever process is asked
        assert ask(gate.port, "GET", "/auth-request", question(cookie=cookie))[0] == 200
        assert (
            ask(gate.port, "GET", "/auth-request", question() | {"X-Real-IP": "192.0.2.8", "Cookie": cookie})[0] == 401
        )
    assert gate.stop() == 0
    gate.start()
    assert ask(gate.port, "GET", "/auth-request", question(cookie=cookie))[0] == 200  # sessions outlive the gate
    again = ask(gate.port, "POST", where, page, {"form": forms[0], "name": "alice", "code": code})
    assert again[0] == 403  # and so does what was used
    metrics = gate.page("/metrics")[1]
    assert 'credentials_refused_total{code="session-device"}' in metrics
    value = cookie.partition("=")[2]
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    written[Path("records")] = repr(gate.taken).encode()
    assert b"alice" in written[Path("records")]
    assert [path for path, data in written.items() for text in (value.encode(), secret) if text in data] == []
    assert [path for path, data in written.items() if b"alice" in data] == [Path("records")]


def test_there_is_no_page_unless_the_settings_say_so(fed_gate: Make, kit: Any) -> None:
    gate = fed_gate(f'mode = "enforce"\n{ROUTES}', {"192.0.2.7": 0.1})
    status, headers, _ = ask(gate.port, "GET", "/auth-request", question())
    assert (status, "x-ostiary-location" in headers, "insufficient" in headers["www-authenticate"]) == (
        401,
        False,
        True,
    )
    assert ask(gate.port, "GET", "/.ostiary/step-up", {"X-Real-IP": "192.0.2.7"})[0] == 404
    gate.configure(f'mode = "enforce"\n{ROUTES}', identity='step_up = "page"')
    gate.process.send_signal(signal.SIGHUP)
    kit.until(lambda: "x-ostiary-location" in ask(gate.port, "GET", "/auth-request", question())[1], "the page")
    without = question() | {"Accept": "application/json"}
    assert "x-ostiary-location" not in ask(gate.port, "GET", "/auth-request", without)[1]


@pytest.fixture
def nginx(fed_gate: Make, behind_nginx: Make, tmp_path: Path) -> Iterator[tuple[Any, int]]:
    """Give a gate and the port of nginx before it, with the configuration that ships."""
    gate = fed_gate(f'mode = "enforce"\n{ROUTES}', {"127.0.0.1": 0.1}, identity='step_up = "page"')
    with behind_nginx(gate, tmp_path) as port:
        yield gate, port


@pytest.mark.server
def test_a_browser_goes_through_nginx_to_the_page_and_back(nginx: tuple[Any, int]) -> None:
    gate, port = nginx
    secret = secret_of(gate, "alice")
    browser = {**BROWSER, "Host": "app.example"}
    assert ask(port, "GET", "/", browser)[2] == "the application"
    status, headers, _ = ask(port, "GET", "/admin/users?page=2", browser)
    assert status == 302 and "x-ostiary-location" not in headers
    where = urlsplit(headers["location"])
    assert where.path == "/.ostiary/step-up"
    target = f"{where.path}?{where.query}"
    status, headers, text = ask(port, "GET", target, browser)
    assert status == 200 and "default-src 'none'" in headers["content-security-policy"]
    fields = {"form": form_of(text), "name": "alice", "code": totp.code(secret, int(time.time()) // totp.STEP_S)}
    forged = ask(port, "POST", target, browser | {"Origin": "https://evil.example"}, fields)
    assert forged[0] == 400
    status, headers, _ = ask(port, "POST", target, browser | {"Origin": "https://app.example"}, fields)
    assert (status, headers["location"]) == (303, "/admin/users?page=2")
    cookie = f"theme=dark; {headers['set-cookie'].partition(';')[0]}; other=1"
    assert ask(port, "GET", "/admin/users?page=2", browser | {"Cookie": cookie})[2] == "the application"
    assert ask(port, "GET", "/admin/", browser | {"Cookie": "theme=dark"})[0] == 302


@pytest.mark.server
def test_a_program_is_told_and_not_sent_elsewhere(nginx: tuple[Any, int]) -> None:
    status, headers, _ = ask(nginx[1], "GET", "/admin/", {"Accept": "application/json"})
    assert (status, "location" in headers) == (401, False)
    assert "insufficient_user_authentication" in headers["www-authenticate"]


@pytest.mark.server
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer " + "a" * 7_900},
        {"X-API-Key": "k" * 2_000},
        {"Cookie": "__Host-ostiary=" + "c" * 7_000},
        {"Cookie": "a=" + "b" * 7_000},
        {"Accept": "text/html" + "," * 7_000},
        {"Authorization": "Bearer " + "a" * 7_900, "Cookie": "__Host-ostiary=" + "c" * 3_800, "X-API-Key": "k" * 512},
    ],
    ids=["a token", "a key", "our cookie", "a cookie", "what is accepted", "all"],
)
def test_no_header_makes_a_question_unreadable(nginx: tuple[Any, int], headers: dict[str, str]) -> None:
    gate, port = nginx
    assert ask(port, "GET", "/admin/" + "x" * 4_000, headers)[0] in (302, 401)
    assert 'undecided_total{code="gateway"} 0.0' in gate.page("/metrics")[1]
