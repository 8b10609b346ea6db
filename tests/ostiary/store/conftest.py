"""Stores and records to test with."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ostiary.store import ActionRecord, DecisionRecord, EntityRecord, RunRecord, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.create(path) as opened:
        opened.begin_run(RunRecord("r1", 1_000, "run", ({"name": "a.pcap", "read": 3},), "s", "p", "m"))
        yield opened


@pytest.fixture
def make_decision() -> Callable[..., DecisionRecord]:
    def make(number: int, run_id: str = "r1", **changes: Any) -> DecisionRecord:
        fields: dict[str, Any] = {
            "id": f"{number:032x}", "run_id": run_id, "ts": 10 * number, "pseudonym": f"ip-{number % 7}",
            "verdict": ("allow", "deny", "throttle")[number % 3], "reasons": (("risk.high", "risk is high"),),
            "obligations": {"retry_after_s": 30}, "ttl_s": 60.0, "policy_revision": "p", "model_revision": "m",
            "input_digest": "d" * 64, "document": {"subject": {"id": f"ip-{number % 7}"}, "risk": {"level": "high"}},
            "reason": "scan.vertical", "text": "tried 100 ports", "technique": "T1046", "source": "a.pcap",
            "seq": number,
        }  # fmt: skip
        return DecisionRecord(**(fields | changes))

    return make


@pytest.fixture
def make_entity() -> Callable[..., EntityRecord]:
    def make(name: str, risk: float = 0.5, run_id: str = "r1", **changes: Any) -> EntityRecord:
        fields: dict[str, Any] = {
            "run_id": run_id, "pseudonym": name, "kind": "ip", "ts": 5, "risk": risk, "level": "high",
            "confidence": 0.7, "half_life_s": 600.0, "reasons": ("scan.vertical", "beacon.regular"),
            "texts": ("tried 100 ports", "calls every 10 s"),
            "contributions": {"scan.vertical": 0.3, "beacon.regular": 0.2}, "verdict": "deny",
        }  # fmt: skip
        return EntityRecord(**(fields | changes))

    return make


@pytest.fixture
def make_action() -> Callable[..., ActionRecord]:
    def make(number: int, state: str = "proposed", run_id: str = "r1") -> ActionRecord:
        return ActionRecord(
            f"a{number}",
            run_id,
            f"{number:032x}",
            "nftables",
            "ip-1",
            10 * number,
            600.0,
            state,
            "risk",
            "none",
            "undo",
        )

    return make
