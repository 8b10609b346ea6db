"""Decisions told to others: in their forms, masked, in order, again where it failed, and never left out."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import SettingsError, TellingError
from ostiary.followers import HISTORY, TOLD, Follower, Followers
from ostiary.recorder import Recorder
from ostiary.settings import Settings
from ostiary.state import State
from ostiary.store import ArchivedDecision, Reader, RunRecord
from ostiary.store.segments import Segments
from ostiary.telling import make_tell
from policy.bundles import SHIPPED, load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.masking import Masks
from policy.values import AccessRequest, Decision, Resource, Subject
from sensors.entities import Entity, EntityKind

NOW = 1_764_000_000_123_456_789
REASONS = json.dumps([["risk.high", "The risk is high."]])
DOCUMENT = {
    "subject": {"id": "p-1"}, "action": "GET", "resource": {"kind": "http", "name": "/shop/"}, "risk": {"risk": 0.83},
}  # fmt: skip


def decision(number: int = 1, verdict: str = "deny", **changes: Any) -> ArchivedDecision:
    document = json.dumps({**DOCUMENT, **changes})
    return ArchivedDecision(
        number, f"d{number}", "r1", NOW, "p-1", verdict, REASONS, "{}", 30.0, "rev", "m", "c", document, b"", "", ""
    )


class Collector(BaseHTTPRequestHandler):
    """Takes what is posted, or refuses it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        if server.refusing:
            self.send_response(503)
        else:
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            server.taken.append((self.path, body))
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.taken, server.refusing = [], False  # type: ignore[attr-defined]  # ours
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def masks(rego: str = "") -> Masks:
    bundle = load_bundle()
    modules = dict(bundle.modules) | ({"mask.rego": f"package system.log\n\n{rego}\n"} if rego else {})
    return Masks(replace(bundle, modules=modules))


def test_opa_s_decision_log() -> None:
    with collecting() as server:
        tell = make_tell(f"opa=http://127.0.0.1:{server.server_port}/x/", masks('mask contains "/input/subject"'))
        tell([decision(1), decision(2, "allow")])
    ((path, body),) = server.taken
    first, second = json.loads(body)
    assert path == "/x/logs"
    assert first["decision_id"] == "d1"
    assert first["timestamp"] == "2025-11-24T16:00:00.123456789Z"
    assert first["bundles"] == {"ostiary": {"revision": "rev"}}
    assert first["result"]["reasons"][0]["code"] == "risk.high"
    assert "subject" not in first["input"]
    assert first["erased"] == ["/input/subject"]
    assert second["result"]["verdict"] == "allow"


def test_ocsf(tmp_path: Path) -> None:
    make_tell(f"ocsf={tmp_path / 'events.jsonl'}", masks('mask contains "/input/action"'))([decision(1), decision(2)])
    make_tell(f"ocsf={tmp_path / 'events.jsonl'}", masks())([decision(3, "allow", resource={"kind": "network"})])
    first, _, third = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert (first["class_uid"], first["type_uid"], first["action_id"], first["disposition_id"]) == (4002, 400299, 2, 2)
    assert first["time"] == NOW // 1_000_000
    assert first["risk_score"] == 83
    assert first["authorizations"][0]["policy"]["version"] == "rev"
    assert first["activity_name"] == ""
    assert (third["class_uid"], third["action_id"]) == (4001, 1)


def test_opentelemetry() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with collecting() as server:
        make_tell(f"otlp=http://127.0.0.1:{server.server_port}", masks('mask contains "/input/resource"'))([decision()])
    ((path, body),) = server.taken
    (span,) = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    found = {item.key: item.value.string_value or item.value.double_value for item in span.attributes}
    assert (path, span.name, span.start_time_unix_nano) == ("/v1/traces", "ostiary.decision", NOW)
    assert (found["ostiary.verdict"], found["ostiary.risk"], found["ostiary.resource"]) == (
        "deny",
        0.83,
        0.0,
    )  # no resource: masked


@pytest.mark.parametrize("where", ["", "opa", "opa=ftp://x", "ocsf=events", "kafka=http://x", "otlp=x"])
def test_a_destination_that_is_none(where: str) -> None:
    with pytest.raises(SettingsError):
        make_tell(where, masks())


def test_somebody_who_refuses_is_a_typed_error() -> None:
    with collecting() as server:
        server.refusing = True
        with pytest.raises(TellingError):
            make_tell(f"opa=http://127.0.0.1:{server.server_port}", masks())([decision()])


def decisions(first: int, count: int) -> list[Decision]:
    decider = Decider(EmbeddedEngine(load_bundle()))
    requests = (
        AccessRequest(NOW + n, Subject(Entity(EntityKind.IP, "192.0.2.7")), Resource("http", f"/{n}/"))
        for n in range(first, first + count)
    )
    return [decider.decide(request, None) for request in requests]


def told(server: Any) -> list[str]:
    return [event["input"]["resource"]["name"] for _, body in server.taken for event in json.loads(body)]


def test_what_is_recorded_is_told_in_order_and_once_it_is_taken_again(tmp_path: Path) -> None:
    with collecting() as server:
        where = f"opa=http://127.0.0.1:{server.server_port}"
        settings = Settings(state_dir=str(tmp_path / "state"))
        settings = replace(settings, policy=replace(settings.policy, log_to=(where,)))
        for number, refusing in enumerate([False, True, False]):
            server.refusing = refusing
            with State.open(settings) as state:
                recorder = Recorder(state, settings)
                recorder.begin(RunRecord(f"r{number}", number, "run"))
                recorder.decisions(decisions(number * 10, 10))
                recorder.finish([], [], {})
                assert recorder.behind() == (["opa"] if refusing else [])
        assert told(server) == [f"/{n}/" for n in range(30)]
        with Reader.open(tmp_path / "state" / "ostiary.db") as store:
            assert Segments(tmp_path / "state" / HISTORY).exported().last == store.numbers()[1] == 30


def test_a_service_tells_while_it_runs_and_masks_by_the_policy_in_force(tmp_path: Path) -> None:
    bundle = tmp_path / "rego"
    bundle.mkdir()
    for path in SHIPPED.iterdir():
        (bundle / path.name).write_bytes(path.read_bytes())
    with collecting() as server:
        where = f"opa=http://127.0.0.1:{server.server_port}"
        settings = Settings(state_dir=str(tmp_path / "state"))
        settings = replace(settings, policy=replace(settings.policy, log_to=(where,), bundle=str(bundle)))
        with State.open(settings) as state:
            recorder = Recorder(state, settings)
            recorder.begin(RunRecord("r1", 1, "service"))
            recorder.decisions(decisions(0, 3))
            until(lambda: len(server.taken) == 1)
            (bundle / "mask.rego").write_text('package system.log\n\nmask contains "/input"\n')
            recorder.activated(settings, "rev")
            recorder.decisions(decisions(3, 2))
            until(lambda: len(server.taken) == 2)
            quiet = replace(settings, policy=replace(settings.policy, log_to=()))
            recorder.activated(quiet, "rev")
            recorder.decisions(decisions(5, 1))
            recorder.finish([], [], {})
    first, second = ([event.get("input") for event in json.loads(body)] for _, body in server.taken)
    assert len(first) == 3 and all(first)
    assert second == [None, None]
    (place,) = (tmp_path / "state" / TOLD).iterdir()
    assert place.read_text() == "5"


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Failing:
    """Work that fails until it is mended."""

    def __init__(self) -> None:
        self.mended, self.done = False, 0

    def close(self) -> None:
        pass

    def step(self, ending: bool) -> bool:
        if not self.mended:
            raise TellingError("nobody there")
        self.done += 1
        return False


def test_what_fails_is_said_once_and_when_it_is_over() -> None:
    said: list[str] = []
    work = Failing()
    follower = Follower("x", work, said.append)
    follower.start()
    for _ in range(3):
        follower.wake()
        until(lambda: follower.failing != "")
    work.mended = True
    follower.wake()
    until(lambda: follower.failing == "")
    follower.finish(60)
    assert [text.split(";")[0] for text in said] == ["x: nobody there", "x: it works again"]


def test_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "state"))
    with State.open(settings):
        pass
    with pytest.raises(SettingsError):
        Followers(replace(settings, policy=replace(settings.policy, log_to=("x",))), lambda: 0, print)


def test_what_was_pruned_before_it_was_written_or_told_is_said(tmp_path: Path) -> None:
    with collecting() as server:
        where = f"opa=http://127.0.0.1:{server.server_port}"
        settings = Settings(state_dir=str(tmp_path / "state"), max_decisions=10)
        settings = replace(settings, policy=replace(settings.policy, log_to=(where,)))
        said: list[str] = []
        with State.open(settings) as state:
            recorder = Recorder(state, replace(settings, policy=replace(settings.policy, log_to=())))
            recorder.begin(RunRecord("r0", 1, "run"))
            recorder.decisions(decisions(0, 5))
            recorder.finish([], [], {})
            Followers(settings, lambda: 0, said.append).finish()
            recorder.decisions(decisions(5, 40))
            Followers(settings, lambda: 0, said.append).finish()
        first = int(told(server)[5].strip("/"))
        assert [text.split(" were pruned")[0] for text in said] == [
            f"history of decisions: {first - 5}", f"{first - 5} decisions",
        ]  # fmt: skip
