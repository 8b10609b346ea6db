"""The values that sensors hand on."""

import numpy as np

from sensors.values import (
    DTYPES,
    MAX_FAULTS_KEPT,
    TEXT_COLUMNS,
    Batch,
    ConnState,
    Counters,
    Entity,
    EntityKind,
    Fault,
    Kind,
)


def test_every_kind_begins_with_the_same_columns() -> None:
    assert set(DTYPES) == set(TEXT_COLUMNS) == set(Kind)
    for dtype in DTYPES.values():
        assert dtype.names is not None and dtype.names[:3] == ("ts", "seq", "source")
        assert [dtype[name] for name in ("ts", "seq", "source")] == [np.dtype(t) for t in ("<i8", "<u8", "<u2")]


def test_text_columns_are_codes() -> None:
    for kind, columns in TEXT_COLUMNS.items():
        assert all(DTYPES[kind][column] == np.dtype("<u4") for column in columns)


def test_a_batch_is_as_long_as_its_tables() -> None:
    batch = Batch(("a",), 0, {Kind.AUTH: np.zeros(2, DTYPES[Kind.AUTH]), Kind.DNS: np.zeros(3, DTYPES[Kind.DNS])})
    assert len(batch) == 5 and batch.texts == ("",)


def test_faults_are_all_counted_and_the_first_are_kept() -> None:
    counters = Counters()
    for number in range(100):
        counters.fault(Fault("code", number, "text", number + 1))
    assert counters.as_dict()["malformed"] == 100
    assert [fault.line for fault in counters.faults] == list(range(1, MAX_FAULTS_KEPT + 1))


def test_entities_are_values() -> None:
    assert Entity(EntityKind.IP, "192.0.2.1") == Entity(EntityKind.IP, "192.0.2.1")
    assert str(Entity(EntityKind.USER, "alice")) == "alice"


def test_states_carry_zeeks_names() -> None:
    assert [state.name for state in ConnState][:5] == ["OTH", "S0", "S1", "SF", "REJ"]
