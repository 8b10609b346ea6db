"""A reference keeps what it learnt, tells the strange, and never trusts its bytes."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from risk.errors import BadReferenceError
from risk.reference import Reference, default_reference
from risk.reference.training import gather
from risk.settings import RiskSettings
from risk.windows import MODELS
from sensors.values import Batch, Kind

Rows = NDArray[np.float64]


def _rows(number: int, seed: int) -> Rows:
    dice = np.random.default_rng(seed)
    base = dice.gamma(2.0, 100.0, number)
    return np.column_stack((base, base * 3 + dice.normal(0, 20, number), dice.poisson(3, number), dice.random(number)))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit(_rows(4000, 1), ("a", "b", "c", "d"), about="made here")


def test_strange_rows_are_rare_and_usual_ones_are_not(reference: Reference) -> None:
    usual = reference.p_values(_rows(5000, 2))
    assert 0.4 <= (usual <= 0.01).mean() / 0.01 <= 1.6  # calibrated on a thousand rows
    apart = _rows(500, 3)
    apart[:, 1] = apart[::-1, 1]  # each feature by itself is usual, together they are not
    far = _rows(500, 4)
    far[:, 2] += 60
    assert np.median(reference.score(apart)) > 1.3 * np.median(reference.score(_rows(500, 2)))
    assert (reference.p_values(far) <= 0.001).all()
    assert (reference.score(far) > np.median(reference.score(_rows(500, 2)))).all()


def test_what_was_written_reads_back_the_same(reference: Reference) -> None:
    data = reference.to_bytes()
    again = Reference.from_bytes(data)
    assert (again.score(_rows(200, 5)) == reference.score(_rows(200, 5))).all()
    assert (again.p_values(_rows(200, 5)) == reference.p_values(_rows(200, 5))).all()
    assert (again.names, again.about, again.rows, again.digest) == (
        reference.names, reference.about, reference.rows, reference.digest,
    )  # fmt: skip
    assert again.to_bytes() == data


def test_the_same_rows_give_the_same_bytes() -> None:
    assert Reference.fit(_rows(500, 1)).to_bytes() == Reference.fit(_rows(500, 1)).to_bytes()


def test_scoring_teaches_nothing(reference: Reference) -> None:
    before = reference.to_bytes()
    reference.score(_rows(1000, 6) * 50)
    assert reference.to_bytes() == before


def test_one_row_by_name(reference: Reference) -> None:
    row = _rows(1, 7)
    assert reference.score_one(dict(zip("abcd", row[0].tolist(), strict=True))) == reference.score(row)[0]


@pytest.mark.parametrize("rows", [np.zeros((10, 2)), np.zeros((500, 3)), np.zeros(500)])
def test_too_little_or_misnamed_is_refused(rows: Rows) -> None:
    with pytest.raises(BadReferenceError):
        Reference.fit(rows, ("a", "b"))


def test_no_pickle_is_read(reference: Reference) -> None:
    bad = io.BytesIO()
    with zipfile.ZipFile(bad, "w") as archive:
        file = io.BytesIO()
        np.lib.format.write_array(file, np.array([{"a": 1}], object), allow_pickle=True)
        archive.writestr("head.npy", file.getvalue())
    with pytest.raises(BadReferenceError):
        Reference.from_bytes(bad.getvalue())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_bytes_are_refused_or_harmless(data: Any) -> None:
    packed = bytearray(_PACKED)
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([1.0, 1.0, 0.7, 0.2]))
    try:
        found = Reference.from_bytes(bytes(packed[: int(cut * len(packed))]))
    except BadReferenceError:
        return
    assert np.isfinite(found.score(_rows(20, 8))).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kitnet.members", 1 << 20), ("isolation_forest.left", 1 << 40), ("isolation_forest.feature", 77),
        ("histogram.counts", np.nan), ("fused.tail", np.inf), ("kitnet.sizes", 5000),
    ],
)  # fmt: skip
def test_arrays_that_would_lead_astray_are_refused(name: str, value: float) -> None:
    with zipfile.ZipFile(io.BytesIO(_PACKED)) as archive:
        arrays = {info.filename: archive.read(info) for info in archive.infolist()}
    array = np.load(io.BytesIO(arrays[f"{name}.npy"])).copy()
    array.flat[0] = value
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    arrays[f"{name}.npy"] = file.getvalue()
    bad = io.BytesIO()
    with zipfile.ZipFile(bad, "w") as archive:
        for each, content in arrays.items():
            archive.writestr(each, content)
    with pytest.raises(BadReferenceError):
        Reference.from_bytes(bad.getvalue())


_PACKED = Reference.fit(_rows(600, 1)).to_bytes()


def test_flows_give_the_rows_to_train_from(make_traffic: Any) -> None:
    traffic = make_traffic()
    for step in range(300):
        traffic.talk(step * 0.5, f"10.0.0.{step % 5}", "192.0.2.7", 443)
    rows = gather([Batch(("a",), 2**62, {Kind.FLOW: traffic.rows()})], RiskSettings(max_entities=1024))
    assert rows.shape == (300, len(MODELS))
    assert Reference.fit(rows, MODELS).names == MODELS


def test_the_reference_that_ships_fits_the_models() -> None:
    shipped = default_reference()
    if shipped is not None:
        assert shipped.names == MODELS
        assert shipped.about
