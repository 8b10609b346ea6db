"""The step-up page by itself: codes, guesses, forms, ways back."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ostiary.identity.journal import Journal
from ostiary.identity.stepup import BUSY, MAX_UNDER_WAY, PATH, TOO_MANY, WRONG, StepUp
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Request
from policy.gateways.values import Answer, Credentials
from policy.identity import Identities, Sources, totp
from policy.identity.seals import Seal
from policy.identity.signals import MOST_A_DAY, MOST_GUESSES, Signals
from policy.identity.values import Signal
from policy.values import Subject
from sensors.entities import Entity, EntityKind

KEY = b"k" * 32
SECRETS = {"alice": b"a" * 20, "bob": b"b" * 20}
HERE = "192.0.2.7"


class House:
    """A page in memory, its journal in a folder, and a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_790_000_000.0
        self.seal, self.counters = Seal(KEY), Counters()
        self.identities = Identities(Sources(seal=self.seal, remember_s=600))
        self.journal = Journal(folder / "signals", KEY)
        self.page = StepUp(self.identities, self.seal, self.change, SECRETS.get, self.counters, lambda: self.now)

    async def change(self, decide: Callable[[Signals], Iterable[Signal]]) -> None:
        self.journal.change(decide)

    def serve(self, method: str, target: str, body: str = "", address: str = HERE, **headers: str) -> Answer:
        given = {"x-real-ip": address, **{name.replace("_", "-"): value for name, value in headers.items()}}
        rows = tuple((name.encode(), value.encode()) for name, value in given.items())
        return asyncio.run(self.page.serve(Request(method, target, rows, body.encode())))

    def form(self, back: str = "/shop?a=b", address: str = HERE, **headers: str) -> str:
        answer = self.serve("GET", self.page.where(back, self.now), address=address, **headers)
        assert answer.status == 200
        (form,) = re.findall(r'name="form" value="(.+?)"', answer.body.decode())
        return unescape(form)

    def post(self, name: str, code: str, form: str = "", address: str = HERE, **headers: str) -> Answer:
        fields = {"form": form or self.form(address=address), "name": name, "code": code}
        site = {"sec_fetch_site": "same-origin"} | headers
        return self.serve("POST", PATH, urlencode(fields), address, **site)

    def code(self, name: str, shift: int = 0) -> str:
        return totp.code(SECRETS[name], int(self.now) // 30 + shift)

    def subject(self, answer: Answer, address: str = HERE) -> Subject:
        cookie = dict(answer.headers)[b"set-cookie"].decode().partition(";")[0]
        return self.identities.subject(Entity(EntityKind.IP, address), Credentials(cookie=cookie), int(self.now * 1e9))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.journal.close()


def test_a_code_begins_a_session_and_leads_back(house: House) -> None:
    answer = house.post("alice", house.code("alice"))
    headers = dict(answer.headers)
    assert (answer.status, headers[b"location"], headers[b"cache-control"]) == (303, b"/shop?a=b", b"no-store")
    assert all(word in headers[b"set-cookie"] for word in (b"__Host-", b"Secure", b"HttpOnly", b"SameSite=Lax"))
    subject = house.subject(answer)
    assert (subject.identity, subject.proof, subject.stepped_up_age_s) == ("alice", "password", 0)
    assert house.subject(answer, "192.0.2.8").identity == ""  # another device
    house.now += 600
    assert house.subject(answer).identity == ""
    assert house.counters.total("step_ups") == 1


def test_a_code_counts_once(house: House) -> None:
    code = house.code("alice")
    assert house.post("alice", code).status == 303
    again = house.post("alice", code)
    assert again.status == 403 and WRONG in again.body.decode() and b"set-cookie" not in dict(again.headers)
    assert house.post("alice", house.code("alice", -1)).status == 403
    house.now += 30
    assert house.post("alice", house.code("alice")).status == 303


def test_an_unknown_user_and_a_wrong_code_look_the_same(house: House) -> None:
    answers = [house.post("alice", "000000"), house.post("nobody", "000000"), house.post("", "x")]
    texts = {re.sub(r'value=".+?"', "", answer.body.decode()) for answer in answers}
    assert len(texts) == 1 and {answer.status for answer in answers} == {403}
    assert house.counters.total("wrong_codes") == 3


@pytest.mark.parametrize("same", ["user", "address", "prefix"])
def test_guesses_end(house: House, same: str) -> None:
    addresses = {"user": "192.0.2.{}", "address": "192.0.2.1", "prefix": "2001:db8::{}"}
    for number in range(MOST_GUESSES):
        name = "alice" if same == "user" else f"user{number}"
        assert WRONG in house.post(name, "000000", address=addresses[same].format(number + 1)).body.decode()
    address = addresses[same].format(99)
    locked = house.post("alice", house.code("alice"), address=address)
    assert locked.status == 403 and TOO_MANY in locked.body.decode()
    assert house.post("bob", house.code("bob"), address="198.51.100.1").status == 303
    house.now += 900
    assert house.post("alice", house.code("alice"), address=address).status == 303


def test_guesses_end_for_the_day(house: House) -> None:
    for number in range(MOST_A_DAY):
        assert WRONG in house.post("alice", "000000", address=f"192.0.2.{number + 1}").body.decode()
        house.now += 120
    assert TOO_MANY in house.post("alice", house.code("alice")).body.decode()
    house.now += 86_400
    assert house.post("alice", house.code("alice")).status == 303


def test_a_form_counts_for_its_device_its_time_and_its_site(house: House) -> None:
    form, good = house.form(), {"name": "alice", "code": house.code("alice")}
    elsewhere = house.post(**good, form=form, address="192.0.2.8")
    forged = house.post(**good, form=form[:-4] + "AAAA")
    assert elsewhere.status == forged.status == 400
    for site in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"sec_fetch_site": "none"}):
        assert house.post(**good, form=form, **site).status == 400
    house.now += 900
    assert house.post("alice", house.code("alice"), form).status == 400
    assert house.counters.total("step_ups") == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://app.example", "host": "app.example"}, 303),
        ({"origin": "https://evil.example", "host": "app.example"}, 400),
        ({"origin": "null", "host": "app.example"}, 400),
        ({"origin": "https://[", "host": "app.example"}, 400),
        ({"host": "app.example"}, 400),
        ({}, 400),
    ],
)
def test_a_browser_without_fetch_metadata_is_known_by_its_origin(
    house: House, headers: dict[str, str], status: int
) -> None:
    body = urlencode({"form": house.form(), "name": "alice", "code": house.code("alice")})
    assert house.serve("POST", PATH, body, **headers).status == status


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", ""])
def test_the_way_back_leads_to_the_same_host(house: House, target: str) -> None:
    answer = house.post("alice", house.code("alice"), house.form(target))
    assert dict(answer.headers)[b"location"] == b"/"


@pytest.mark.parametrize(
    "query", ["", "?to=", "?to=/evil", "?to=a&to=b", "?to=%ff", "?" + "&".join("abcdefghijklmnopqrs")]
)
def test_a_page_without_a_sealed_way_back_is_none(house: House, query: str) -> None:
    assert house.serve("GET", PATH + query).status == 400


def test_what_was_sealed_for_something_else_is_no_way_back_and_no_form(house: House) -> None:
    session = house.post("alice", house.code("alice"))
    cookie = dict(session.headers)[b"set-cookie"].decode().partition("=")[2].partition(";")[0]
    form, way = house.form(), house.page.where("/", house.now).partition("=")[2]
    for text in (cookie, form):
        assert house.serve("GET", f"{PATH}?to={text}").status == 400
    house.now += 60
    for text in (cookie, way):
        assert house.post("alice", house.code("alice"), text).status == 400


def test_a_page_runs_nothing_and_can_be_framed_by_nobody(house: House) -> None:
    answer = house.serve("GET", house.page.where("/", house.now))
    policy = dict(answer.headers)[b"content-security-policy"]
    assert b"default-src 'none'" in policy and b"frame-ancestors 'none'" in policy
    assert b"<script" not in answer.body


def test_a_name_is_text_and_one_that_was_proven_is_not_asked_for(house: House) -> None:
    odd = '<img src=x onerror="alert(1)">'
    answer = house.serve("GET", house.page.where("/", house.now), **_certificate(odd))
    assert odd.encode() not in answer.body and b"&lt;img" in answer.body and b'id="name"' not in answer.body
    form = house.form(**_certificate("alice"))
    wrong = house.post("bob", house.code("bob"), form, **_certificate("alice"))
    assert wrong.status == 403  # the certificate's holder is asked, whatever name the form brings


def _certificate(name: str) -> dict[str, str]:
    return {"x_ostiary_client_verify": "SUCCESS", "x_ostiary_client_uri": name}


def test_other_methods_and_broken_requests(house: House) -> None:
    assert house.serve("PUT", PATH).status == 405
    assert house.serve("GET", house.page.where("/", house.now), address="nowhere").status == 400
    assert house.serve("POST", PATH, "\x00&=&", sec_fetch_site="same-origin").status == 400


def test_those_who_wait_are_bounded(house: House) -> None:
    async def crowd() -> list[Answer]:
        gone = asyncio.Event()

        async def slow(decide: Callable[[Signals], Iterable[Signal]]) -> None:
            await gone.wait()

        house.page._change = slow
        rows = ((b"x-real-ip", HERE.encode()), (b"sec-fetch-site", b"same-origin"))
        body = urlencode({"form": form, "name": "alice", "code": "000000"}).encode()
        request = Request("POST", PATH, rows, body)
        tasks = [asyncio.create_task(house.page.serve(request)) for _ in range(MAX_UNDER_WAY + 1)]
        await asyncio.sleep(0.05)
        gone.set()
        return list(await asyncio.gather(*tasks))

    form = house.form()
    answers = asyncio.run(crowd())
    assert [answer.status for answer in answers].count(503) == 1
    assert BUSY in answers[-1].body.decode()
