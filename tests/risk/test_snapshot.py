"""A restored engine goes on as the undisturbed one; what is no state of ours is refused and runs nothing."""

import contextlib
import dataclasses
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import snapshot
from risk.codec import Filler, Writer
from risk.engine import RiskEngine
from risk.errors import SnapshotError
from risk.feedback import Feedback
from risk.labels import Case, Label
from risk.ledger import Ledger
from risk.settings import RiskSettings
from risk.values import Finding
from sensors.values import AuthOutcome, Batch, Entity, EntityKind, Kind

SETTINGS = RiskSettings(max_entities=1 << 10, learn_batch=32)
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def stream(make_traffic: Any, make_logs: Callable[[Kind, Sequence[dict[str, Any]]], Batch]) -> list[Batch]:
    """Scans, guessing, web attacks, tunnels and ordinary clients over an hour, in many batches."""
    batches = []
    for hour in range(12):
        start, dice, traffic = hour * 300.0, random.Random(hour), make_traffic()
        for port in range(60):
            traffic.refused(start + port * 0.7, f"192.0.2.{1 + hour % 3}", "198.51.100.9", 1 + port)
        for step in range(120):
            at = start + step * 2.3
            traffic.talk(at, f"10.0.0.{step % 9}", f"203.0.113.{step % 5}", 443, out=dice.randrange(900))
        batches.append(Batch(("a.pcap",), 2**62, {Kind.FLOW: traffic.rows()}))
        logs: dict[Kind, list[dict[str, Any]]] = {
            Kind.AUTH: [
                {
                    "at": start + n * 3.0, "orig": f"10.9.0.{n % 2}", "user": f"u{n % 7}", "count": 1,
                    "outcome": AuthOutcome.SUCCESS if n % 9 == 8 else AuthOutcome.FAILURE,
                }
                for n in range(20)
            ],
            Kind.HTTP: [
                {"at": start + n * 2.0, "orig": "10.8.0.1", "method": "GET", "path": f"/a{n}?q=' or 1=1", "status": 404}
                for n in range(12)
            ],
            Kind.DNS: [
                {"at": start + n * 0.5, "orig": "10.7.0.1", "query": f"{dice.randbytes(20).hex()}.a.test", "qtype": 16}
                for n in range(40)
            ],
        }  # fmt: skip
        batches += [make_logs(kind, lines) for kind, lines in logs.items()]
    return batches


def _told(findings: Sequence[Finding]) -> list[Any]:
    """What was found, without the name of the model, which says that a state was taken up."""
    return [dataclasses.replace(each.assessment, model_revision="") for each in findings] + [
        each.evidence for each in findings
    ]


def _reload(engine: RiskEngine) -> RiskEngine:
    return RiskEngine.restored(SETTINGS, snapshot.unpack(snapshot.pack(engine.save())))


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.sets(st.integers(0, 47), min_size=1, max_size=4))
def test_a_restored_engine_equals_the_undisturbed_one(stream: list[Batch], saved_after: set[int]) -> None:
    whole, engine = RiskEngine(SETTINGS), RiskEngine(SETTINGS)
    for place, batch in enumerate(stream):
        assert _told(engine.observe(batch)) == _told(whole.observe(batch))
        if place in saved_after:
            engine = _reload(engine)
    counts = dict(whole.counts())
    assert dict(engine.counts()) == counts and counts["entities_risky"] >= 5
    at = 1_700_000_000 * SECOND + 4000 * SECOND
    assert [each.risk for each in engine.risky(at, 50)] == [each.risk for each in whole.risky(at, 50)]
    assert len(engine.lineage.parents) == len(saved_after)
    assert engine.lineage.sources == whole.lineage.sources
    assert engine.revision != whole.revision


def test_equal_states_have_equal_bytes(stream: list[Batch]) -> None:
    one, two = RiskEngine(SETTINGS), RiskEngine(SETTINGS)
    for batch in stream[:8]:
        one.observe(batch)
        two.observe(batch)
    assert snapshot.pack(one.save()) == snapshot.pack(two.save())
    assert one.save().digest == two.save().digest == snapshot.unpack(snapshot.pack(one.save())).digest
    two.observe(stream[8])
    assert one.save().digest != two.save().digest


def test_labels_are_not_in_the_state_but_heard_again(stream: list[Batch]) -> None:
    engine = RiskEngine(SETTINGS)
    for batch in stream[:8]:
        engine.observe(batch)
    who = engine.risky(2 * 10**18, 1)[0].entity if engine.risky(2 * 10**18, 1) else Entity(EntityKind.IP, "192.0.2.1")
    at = max(span.last_ts for span in engine.lineage.sources.values())
    before = engine.assess(who, at)
    cases = tuple(Case(reason, 0.5) for reason in before.reasons)
    label = Feedback([Label("1", at, who, False, cases)])
    engine.hear(label)
    assert engine.risk(who, at) < before.risk
    again = _reload(engine)
    assert again.assess(who, at).risk == before.risk
    again.hear(label)
    assert again.risk(who, at) == engine.risk(who, at)


def test_another_version_or_other_settings_are_refused(stream: list[Batch]) -> None:
    saved = RiskEngine(SETTINGS).save()
    for other in (dataclasses.replace(SETTINGS, seed=1), dataclasses.replace(SETTINGS, max_entities=1 << 11)):
        with pytest.raises(SnapshotError, match="other settings"):
            RiskEngine.restored(other, saved)
    with pytest.raises(SnapshotError, match="other parts"):
        RiskEngine.restored(SETTINGS, dataclasses.replace(saved, document={}))


@pytest.fixture(scope="module")
def packed(stream: list[Batch]) -> bytes:
    engine = RiskEngine(SETTINGS)
    for batch in stream[:4]:
        engine.observe(batch)
    return snapshot.pack(engine.save())


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 255)), min_size=1, max_size=4), st.floats(0, 2))
def test_damage_is_told_and_nothing_else_happens(packed: bytes, changes: list[tuple[float, int]], cut: float) -> None:
    damaged = bytearray(packed)
    for place, value in changes:
        damaged[int(place * len(packed))] = value
    try:
        RiskEngine.restored(SETTINGS, snapshot.unpack(bytes(damaged[: int(cut * len(packed))])))
    except SnapshotError as error:
        assert error.code == "risk.snapshot"


ODD = ("null", "-1", '"x"', "[]", "{}", '["again", 1000000]', '[1, "list", 5]', '[2, "dict", [1]]', '["value", 0]')
NOTHING: dict[str, Any] = {"classes": [], "entities": []}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 0.9999), min_size=1, max_size=12), st.sampled_from(ODD))
def test_a_document_of_another_shape_is_refused_or_fits(packed: bytes, way: list[float], odd: str) -> None:
    found = snapshot.unpack(packed)
    parts = {name: found.document[name] for name in ("_ledger", snapshot.TABLES)}
    document = json.loads(json.dumps({**parts, "_relations": [0, "list"]}))
    value: Any = document
    for step, nothing in zip(way, [*way[1:], None], strict=True):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[int(step * len(keys))]
        if nothing is None or not isinstance(value[key], dict | list) or not value[key]:  # the end of the way
            value[key] = json.loads(odd)
            break
        value = value[key]
    fresh = {"_ledger": Ledger(100, "r"), "_relations": []}
    with contextlib.suppress(SnapshotError):
        snapshot.fill(dataclasses.replace(found, base="b", document=document), "b", fresh)


@pytest.mark.parametrize(
    "name",
    [
        "os:system", "subprocess:Popen", "builtins:eval", "risk.codec:sys", "risk.engine:hashlib", "risk.nothing:X",
        "risk.errors:RiskError", "sensors.values:np.ndarray", "", "risk.engine", "risk.engine:RiskEngine.observe",
        "river.utils:eval", 5, None,
    ],
)  # fmt: skip
def test_no_class_but_ours_is_made(name: object) -> None:
    with pytest.raises(SnapshotError, match="no class of ours"):
        Filler({}, {"classes": [name], "entities": []})


def test_code_is_never_made_from_a_state() -> None:
    with pytest.raises(SnapshotError, match="code"):
        Filler({}, NOTHING).fill(["code"])
    with pytest.raises(SnapshotError, match="array of objects"):
        Writer().write(np.array([object()]))
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(SnapshotError, match="deeply"):
        snapshot.take("b", {"deep": deep})


def test_sparse_arrays_and_odd_values_come_back() -> None:
    big = np.zeros((5000, 4), np.float32)
    big[7] = 1.5
    wave = np.arange(40_000).astype(np.int64)
    value = {
        "nan": float("nan"), "inf": float("inf"), "text": "\ud800 \u0000", "bytes": b"\x00\xff", "none": None,
        "set": {3, 1}, "nested": [(1, 2.5), {"k": True}], "kind": Kind.HTTP, "scalar": np.float32(2.5), "big": big,
        "wave": wave, "empty": np.zeros((0, 3)), "int": 2**70,
    }  # fmt: skip
    writer = Writer()
    document = json.loads(json.dumps(writer.write(value)))
    assert sum(array.nbytes for array in writer.arrays.values()) < 400_000
    back = Filler(writer.arrays, writer.tables).fill(document)
    assert str(back["nan"]) == "nan" and back["kind"] is Kind.HTTP and type(back["scalar"]) is np.float32
    assert np.array_equal(back["big"], big) and np.array_equal(back["wave"], wave) and back["empty"].shape == (0, 3)
    for name in ("inf", "text", "bytes", "none", "set", "nested", "int"):
        assert back[name] == value[name]
