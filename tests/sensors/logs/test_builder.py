"""Batches built row by row."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.logs.builder import BatchBuilder, decode
from sensors.values import AuthOutcome, Kind


def test_texts_are_interned_and_addresses_normalised() -> None:
    out = BatchBuilder(0)
    out.auth(5, 1, AuthOutcome.FAILURE, orig=b"::ffff:192.0.2.1", user=b"bob", service="sshd")
    out.auth(4, 2, AuthOutcome.SUCCESS, orig="192.0.2.1", user="bob", service=b"sshd")
    batch, misfits = out.build("name", 3)
    assert (batch.sources, batch.watermark, misfits) == (("name",), 3, [])
    assert list(batch.texts) == ["", "192.0.2.1", "bob", "sshd"]
    rows = batch.tables[Kind.AUTH]
    assert rows["seq"].tolist() == [2, 1]
    assert rows["orig"].tolist() == [1, 1] and rows["resp"].tolist() == [0, 0]


def test_a_number_that_does_not_fit_costs_only_its_row() -> None:
    out = BatchBuilder(0)
    for seq, status in enumerate((200, 70_000, -1, 404), 1):
        out.http(seq, seq, status, 10, path=b"/")
    batch, misfits = out.build("name", 0)
    assert batch.tables[Kind.HTTP]["status"].tolist() == [200, 404]
    assert misfits == [2, 3]


@settings(derandomize=True, deadline=None)
@given(st.one_of(st.binary(), st.text()))
def test_every_text_can_be_encoded(value: bytes | str) -> None:
    decode(value).encode()


def test_bytes_that_are_not_utf8_stay_visible() -> None:
    assert decode(b"a\xffb") == "a\\xffb"
    assert decode("a\ud800") == "a\\ud800"
    assert decode("grüße".encode()) == "grüße"
