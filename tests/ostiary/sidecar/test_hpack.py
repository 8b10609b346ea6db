"""Header compression, by the examples of RFC 7541, appendix C, and by blocks that break it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.sidecar.hpack import MAX_HEADERS, Decoder, HpackError, unpacked

EXAMPLE = (b":authority", b"www.example.com")
FIRST = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), EXAMPLE]
SECOND = [*FIRST, (b"cache-control", b"no-cache")]
THIRD = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/index.html"), EXAMPLE]
PLAIN = [
    ("828684410f7777772e6578616d706c652e636f6d", FIRST),
    ("828684be58086e6f2d6361636865", SECOND),
    ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", [*THIRD, (b"custom-key", b"custom-value")]),
]
PACKED = [
    ("828684418cf1e3c2e5f23a6ba0ab90f4ff", FIRST),
    ("828684be5886a8eb10649cbf", SECOND),
    ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", [*THIRD, (b"custom-key", b"custom-value")]),
]
DATE = (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT")
REST = [(b"cache-control", b"private"), DATE, (b"location", b"https://www.example.com")]
SMALL_TABLE = [
    (
        "3fe101" "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff"
        "6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        [(b":status", b"302"), *REST],
    ),
    ("4883640effc1c0bf", [(b":status", b"307"), *REST]),
]  # fmt: skip


@pytest.mark.parametrize("blocks", [PLAIN, PACKED, SMALL_TABLE], ids=["plain", "packed", "small-table"])
def test_the_examples_of_the_rfc(blocks: list[tuple[str, list[tuple[bytes, bytes]]]]) -> None:
    decoder = Decoder()
    for block, expected in blocks:
        assert list(decoder.decode(bytes.fromhex(block))) == expected


def test_a_block_means_what_the_table_says_now() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01x")
    assert decoder.decode(b"\xbe") == ((b"a", b"x"),)
    decoder.decode(b"\x40\x01a\x01y")
    assert decoder.decode(b"\xbe") == ((b"a", b"y"),)
    assert decoder.decode(b"\xbf") == ((b"a", b"x"),)


def test_what_finds_no_room_goes() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01x")
    decoder.decode(b"\x20")  # the table is to hold nothing
    with pytest.raises(HpackError):
        decoder.decode(b"\xbe")
    decoder.decode(b"\x3f\x03" + b"\x40\x01b\x01y")  # 34 bytes: one header
    assert decoder.decode(b"\xbe") == ((b"b", b"y"),)
    decoder.decode(b"\x40\x02bb\x02yy")  # larger than the table: it empties it
    with pytest.raises(HpackError):
        decoder.decode(b"\xbe")


@pytest.mark.parametrize(
    "block",
    [
        b"\x80", b"\xbe", b"\xff\xff\xff\xff\xff\x7f", b"\xff", b"\x40", b"\x40\x05a", b"\x00\x01a", b"\x00\x01a\x05x",
        b"\x3f\xe2\x1f", b"\x82\x20", b"\x00\x01a\x81\x00", b"\x00\x01a\x84\xff\xff\xff\xff", b"\x00\x01a\x81\x1e",
    ],
    ids=bytes.hex,
)  # fmt: skip
def test_what_breaks_the_rfc(block: bytes) -> None:
    with pytest.raises(HpackError):
        Decoder().decode(block)


def test_a_small_block_does_not_become_large_headers() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4_000)
    with pytest.raises(HpackError, match=str(MAX_HEADERS)):
        decoder.decode(b"\xbe" * 5)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(block: bytes) -> None:
    decoder = Decoder()
    for _ in range(2):
        with suppress(HpackError):
            assert all(isinstance(part, bytes) for header in decoder.decode(block) for part in header)


@given(st.binary(max_size=40))
def test_any_bytes_are_unpacked_or_refused(text: bytes) -> None:
    with suppress(HpackError):
        assert len(unpacked(text)) <= len(text) * 8 // 5
