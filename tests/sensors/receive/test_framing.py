"""Messages out of streams: RFC 6587 and RFC 5425, and lines."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.receive.framing import Framer, FramingError, one_line

LIMIT = 64
texts = st.lists(st.binary(max_size=40).map(lambda text: b"<13>" + text), min_size=1, max_size=8)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def messages(framer: Framer, pieces: list[bytes]) -> list[bytes]:
    return [message for piece in pieces for message in framer.feed(piece)] + framer.finish()


@given(texts, st.lists(st.integers(0, 1000), max_size=6))
def test_counted_messages_come_out_whole_however_they_are_cut(given_texts: list[bytes], places: list[int]) -> None:
    stream = b"".join(b"%d %b" % (len(text), text) for text in given_texts)
    assert messages(Framer(LIMIT), cut(stream, places)) == [one_line(text) for text in given_texts]


@given(texts, st.lists(st.integers(0, 1000), max_size=6), st.booleans())
def test_lines_come_out_whole_however_they_are_cut(given_texts: list[bytes], places: list[int], last: bool) -> None:
    plain = [text.translate(None, b"\r\n\0") for text in given_texts]
    stream = b"\n".join(plain) + (b"\n" if last else b"")
    for counted in (True, False):
        assert messages(Framer(LIMIT, counted), cut(stream, places)) == plain


@given(st.binary(max_size=300), st.lists(st.integers(0, 1000), max_size=6), st.booleans())
def test_any_bytes_give_lines_of_bounded_length_whatever_the_cuts(
    data: bytes, places: list[int], counted: bool
) -> None:
    def outcome(pieces: list[bytes]) -> list[bytes] | None:
        try:
            return messages(Framer(LIMIT, counted), pieces)
        except FramingError:
            return None

    found = outcome(cut(data, places))
    assert found is None or all(b"\n" not in message for message in found)
    assert found is None or all(len(message) <= LIMIT + 1 + message.count(b"#012") * 3 for message in found)
    if found is not None:
        assert outcome([data]) == found


def test_the_examples_of_the_rfcs() -> None:
    stream = b"83 <34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed\n\n"
    stream = stream[:2].replace(b"83", b"81") + stream[2:]
    first = b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed"
    framer = Framer(200)
    assert framer.feed(b"%d %b" % (len(first), first) + b"<13>line\n") == [first, b"<13>line"]


def test_a_message_with_line_ends_stays_one_line() -> None:
    assert Framer(LIMIT).feed(b"13 <13>a\nb\r\nc\r\n\n"[:16]) == [b"<13>a#012b\r#012c"]


def test_a_message_longer_than_allowed_is_given_cut_and_the_next_one_is_whole() -> None:
    long = b"<13>" + b"x" * 1_000
    for stream in (b"%d %b" % (len(long), long) + b"7 <13>end", long + b"\n<13>end\n"):
        for size in (1, 7, 64, 5_000):
            framer = Framer(LIMIT)
            found = messages(framer, [stream[at : at + size] for at in range(0, len(stream), size)])
            assert found == [long[: LIMIT + 1], b"<13>end"]
            assert len(framer._rest) <= LIMIT + 10


def test_a_sender_that_has_counted_and_then_doesnt_is_of_no_further_use() -> None:
    framer = Framer(LIMIT)
    assert framer.feed(b"6 <13>ab") == [b"<13>ab"]
    with pytest.raises(FramingError) as caught:
        framer.feed(b"9x <13>")
    assert caught.value.offset == 8
    assert caught.value.code == "syslog.frame"


def test_lines_may_begin_with_a_number() -> None:
    assert Framer(LIMIT).feed(b"2026-11-25T00:00:00Z h sshd: x\n12 monkeys\n") == [
        b"2026-11-25T00:00:00Z h sshd: x", b"12 monkeys"
    ]  # fmt: skip
