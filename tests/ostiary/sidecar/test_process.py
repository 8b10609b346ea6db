"""The gate as a process: warm starts, deaths, reloads, and records that nothing loses unseen."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policy.bundles import Bundle

ENFORCE = 'mode = "enforce"\n'
RISKS = {"192.0.2.7": 0.05, "192.0.2.66": 0.85}
Make = Callable[..., Any]


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"it never came about: {what}")


def test_it_answers_by_what_the_engine_tells_and_hands_its_decisions_on(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    status, headers = gate.ask()
    assert (status, headers["x-ostiary-verdict"]) == (200, "allow")
    assert gate.ask("192.0.2.66")[0] == 403
    assert gate.ask("198.51.100.1")[0] == 200  # the engine knows nothing against it
    gate.tell({"192.0.2.7": 0.9, "192.0.2.66": 0.0})
    until(lambda: gate.ask()[0] == 403, "the risk that was told")
    assert gate.ask("192.0.2.66")[0] == 200
    decisions = until(lambda: len(gate.taken) >= 5 and list(gate.taken), "the records")
    assert headers["x-ostiary-decision"] in {decision.id for decision in decisions}
    assert {decision.model_revision for decision in decisions} == {"m1"}
    time.sleep(1.5)
    assert gate.stop() == 0
    assert len(gate.log().splitlines()) == 1  # it said that it answers, and had nothing to add


def test_refusals_count_in_later_questions(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    for route in ("/a", "/b", "/c"):
        gate.ask("192.0.2.66", route)
    until(lambda: len(gate.taken) == 3, "the records")
    assert [decision.document["history"]["refused"] for decision in gate.taken] == [0, 1, 2]


def test_a_gate_without_an_engine_answers_as_declared_and_follows_it_once_it_is_there(fed_gate: Make) -> None:
    gate = fed_gate(
        ENFORCE + '[gate.routes."/open"]\nfailure = "open"\n[gate.routes."/watched"]\nmode = "observe"\n',
        RISKS, start=False,
    )  # fmt: skip
    gate.start(ready=False)
    until(lambda: "answers on" in gate.log(), "an answering gate")
    for route, status in (("/", 503), ("/open", 200), ("/watched", 200)):
        found, headers = gate.ask(route=route)
        assert (found, headers["x-ostiary-error"]) == (status, "policy.unavailable")
    assert gate.page("/health")[0] == 503
    gate.start_feed()
    until(lambda: gate.ask()[0] == 200, "an answer by the policy")
    assert gate.ask("192.0.2.66")[0] == 403


def test_it_goes_on_without_the_engine_and_starts_warm_from_its_snapshot(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    gate.stop_feed()
    assert gate.ask("192.0.2.66")[0] == 403
    until(lambda: json.loads(gate.page("/health")[1])["risks_age_s"] > 1, "the age of what is known")
    assert gate.stop() == 0
    gate.start(ready=False)
    until(lambda: "goes on from a snapshot" in gate.log(), "a warm start")
    until(lambda: "answers on" in gate.log().rpartition("goes on")[2], "an answering gate")
    assert gate.ask("192.0.2.66")[0] == 403
    assert gate.ask()[0] == 200
    gate.start_feed()
    until(lambda: len(gate.taken) >= 3, "the records of the time without an engine")
    assert gate.lost == 0


@pytest.mark.parametrize("wrong", ["cut", "changed"])
def test_a_snapshot_that_was_tampered_with_is_not_used(fed_gate: Make, wrong: str) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    assert gate.stop() == 0
    gate.stop_feed()
    snapshot = gate.folder / "gate" / "snapshot"
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[:-20] if wrong == "cut" else whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    gate.start(ready=False)
    until(lambda: "the snapshot is not used" in gate.log(), "a refused snapshot")
    until(lambda: "answers on" in gate.log().rpartition("is not used")[2], "an answering gate")
    assert gate.ask()[1]["x-ostiary-error"] == "policy.unavailable"


def test_a_worker_that_is_killed_is_started_again_and_what_it_had_in_memory_is_told(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    until(lambda: (gate.folder / "gate" / "snapshot").exists(), "a snapshot")
    (worker,) = gate.workers()
    gate.ask()
    until(lambda: len(gate.taken) == 1, "a record that is durable")
    gate.stop_feed()
    for method in ("POST", "PUT", "PATCH"):
        gate.ask(method=method)
    os.kill(worker, signal.SIGKILL)
    until(lambda: gate.workers() not in ([], [worker]), "another worker")
    until(lambda: gate.log().count("answers on") == 2, "an answering worker")
    assert gate.ask("192.0.2.66")[0] == 403
    assert "signal SIGKILL" in gate.log()
    gate.start_feed()
    until(lambda: gate.lost == 3 and len(gate.taken) == 2, "what was lost, and what was not")
    assert "ostiary_gate_restarts_total 1.0" in gate.page("/metrics")[1]


NOBODY = """package ostiary

decision := {"verdict": "deny", "reasons": [], "obligations": {}, "ttl_s": 0}
"""
RUNS_ON = """package ostiary

decision := {"verdict": "deny", "reasons": [], "obligations": {}, "ttl_s": count(numbers.range(1, 2000000000))} if {
	input.subject.id == "192.0.2.66"
} else := {"verdict": "allow", "reasons": [], "obligations": {}, "ttl_s": 0}
"""


def test_a_decision_that_takes_too_long_costs_itself(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS, policy="timeout_s = 0.3")
    gate.use(Bundle(Path(), {"policy.rego": RUNS_ON}, {}, {}, "r2"))
    until(lambda: "r2" in gate.page("/health")[1], "the other bundle")
    time.sleep(1.5)  # until it is in the snapshot
    with pytest.raises(OSError):
        gate.ask("192.0.2.66")
    until(lambda: "took longer than policy.timeout_s" in gate.log(), "the reason")
    until(lambda: gate.ask()[0] == 200, "the next question's answer")


def test_a_supervisor_that_is_killed_takes_its_workers_along(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    (worker,) = gate.workers()
    gate.stop(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{worker}").exists(), "the end of the worker")
    gate.start()
    assert gate.ask("192.0.2.66")[0] == 403


def test_sighup_takes_new_settings_into_force_and_leaves_wrong_ones(fed_gate: Make) -> None:
    gate = fed_gate("", RISKS)
    assert gate.ask("192.0.2.66")[0] == 200
    gate.configure("mod = 1\n")
    gate.process.send_signal(signal.SIGHUP)
    until(lambda: "the old settings stay in force" in gate.log(), "wrong settings refused")
    gate.configure(ENFORCE)
    gate.process.send_signal(signal.SIGHUP)
    until(lambda: gate.ask("192.0.2.66")[0] == 403, "new settings")


def test_a_bundle_that_does_not_compile_leaves_the_one_before(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    gate.use(Bundle(Path(), {"policy.rego": "package ostiary\n\ndecision := "}, {}, {}, "r2"))
    until(lambda: "a bundle was refused" in gate.log(), "a refused bundle")
    status, headers = gate.ask("192.0.2.66")
    assert (status, headers.get("x-ostiary-verdict")) == (403, "deny"), (headers, gate.log())


def test_who_was_let_in_and_no_longer_is_has_connections_to_end(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE + '[gate.routes."/watched"]\nmode = "observe"\n', RISKS)
    assert gate.ask()[0] == 200
    assert gate.ask("192.0.2.8")[0] == gate.ask("192.0.2.9", "/watched")[0] == 200
    gate.tell({"192.0.2.7": 0.2, "192.0.2.66": 0.95})  # it was not let in
    gate.tell({"192.0.2.7": 0.9, "192.0.2.9": 0.9})
    ((address, decision),) = until(lambda: gate.closing, "somebody whose connections are to end")
    assert address == "192.0.2.7"
    assert decision in {each.id for each in gate.taken}  # it was recorded before
    until(lambda: "ostiary_gate_closed_total 1.0" in gate.page("/metrics")[1], "the count")
    assert "ostiary_gate_closing_seconds_count 1.0" in gate.page("/metrics")[1]

    gate.configure(ENFORCE)  # what only observed is meant now
    gate.process.send_signal(signal.SIGHUP)
    until(lambda: "192.0.2.9" in dict(gate.closing), "the next")
    gate.use(Bundle(Path(), {"policy.rego": NOBODY}, {}, {}, "r2"))
    until(lambda: "192.0.2.8" in dict(gate.closing), "the last")
    assert len(gate.closing) == 3


def test_who_is_no_longer_let_in_while_the_engine_is_away_is_named_when_it_is_back(fed_gate: Make) -> None:
    gate = fed_gate("", {"192.0.2.66": 0.85})
    assert gate.ask("192.0.2.66")[0] == 200  # it observes
    gate.stop_feed()
    gate.configure(ENFORCE)
    gate.process.send_signal(signal.SIGHUP)
    until(lambda: "new settings are in force" in gate.log(), "the new settings")
    time.sleep(0.5)  # in which it could judge again, with nobody to tell
    gate.start_feed()
    until(lambda: gate.closing, "the connections that are to end")


def test_what_cannot_be_decided_ends_nothing(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    assert gate.ask()[0] == 200
    gate.use(Bundle(Path(), {"policy.rego": "package ostiary\n\ndecision := 1 / 0\n"}, {}, {}, "r2"))
    until(lambda: gate.ask()[0] == 503, "a policy that cannot decide")
    gate.tell({"192.0.2.7": 0.9})
    gate.use(Bundle(Path(), {"policy.rego": NOBODY}, {}, {}, "r3"))
    until(lambda: dict(gate.closing), "a policy that can")


def test_several_processes_answer_at_one_address(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE + "processes = 2\n", RISKS)
    assert len(gate.workers()) == 2
    assert {gate.ask("192.0.2.66")[0] for _ in range(20)} == {403}
    assert "ostiary_gate_questions_total" in gate.page("/metrics")[1]
    until(lambda: {told["questions"] for told in gate.feed.heard.values()} == {20}, "what both counted, told by each")
    assert gate.stop() == 0


def test_a_second_gate_in_a_directory_is_refused(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    first = gate.process
    gate.start(ready=False)
    assert gate.process.wait(20) == 4
    assert "runs already" in gate.log()
    gate.process = first
    assert gate.ask()[0] == 200


def test_it_holds_no_capability(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE, RISKS)
    for process in (gate.process.pid, *gate.workers()):
        assert "CapEff:\t0000000000000000" in Path(f"/proc/{process}/status").read_text()


def test_what_processes_left_that_are_started_no_more_is_handed_on(fed_gate: Make) -> None:
    gate = fed_gate(ENFORCE + "processes = 4\n", RISKS)
    gate.stop_feed()
    for number in range(40):  # whichever process is asked
        assert gate.ask(f"192.0.2.{100 + number}")[0] == 200
    assert gate.stop() == 0
    left = {path.name.split("-")[1] for path in (gate.folder / "gate").glob("*.spill")}
    assert left - {"0"}, "others than the first were asked, too"
    gate.configure(ENFORCE)
    gate.start_feed()
    gate.start()
    until(lambda: len(gate.taken) == 40, "every record")
    until(lambda: not list((gate.folder / "gate").glob("*.spill")), "an empty directory")
    assert gate.lost == 0
