"""Names and contents of tiles, and the growing edge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.audit import merkle
from compliance.audit.tiles import (
    MAX_ENTRY,
    Edge,
    TileName,
    expected,
    pack_bundle,
    parse_path,
    tile_node,
    unpack_bundle,
    unpack_tile,
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (TileName(0, 0), "tile/0/000"),
        (TileName(0, 1_234_067), "tile/0/x001/x234/067"),
        (TileName(1, 273, 17), "tile/1/273.p/17"),
        (TileName(-1, 1_000, 1), "tile/entries/x001/000.p/1"),
        (TileName(63, 999_999), "tile/63/x999/999"),
    ],
)
def test_names_are_those_of_the_specification(name: TileName, path: str) -> None:
    assert name.path == path
    assert parse_path(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/000.p/",
        "tile/0/000.new",
        "tile/0/٠٠٠",
        "tile/0/000.p/٥",
        "checkpoint",
        "tile/entries/" + "x999/" * 40 + "999",
    ],
)
def test_other_spellings_name_nothing(path: str) -> None:
    assert parse_path(path) is None


@given(st.text())
def test_parsing_never_raises(text: str) -> None:
    for path in (text, f"tile/0/{text}", f"tile/{text}/000", f"tile/0/000.p/{text}"):
        name = parse_path(path)
        assert name is None or name.path == path


@given(st.integers(-1, 63), st.integers(0, 10**18 - 1), st.integers(1, 256))
def test_every_name_has_one_path(level: int, index: int, width: int) -> None:
    assert parse_path(TileName(level, index, width).path) == TileName(level, index, width)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_hold_their_entries(entries: list[bytes]) -> None:
    assert unpack_bundle(pack_bundle(entries)) == entries


def test_the_largest_entry_fits() -> None:
    assert unpack_bundle(pack_bundle([bytes(MAX_ENTRY)])) == [bytes(MAX_ENTRY)]


@given(st.binary(max_size=200))
def test_a_bundle_has_one_reading_or_none(data: bytes) -> None:
    entries = unpack_bundle(data)
    assert entries is None or pack_bundle(entries) == data


def test_a_torn_tile_is_none() -> None:
    assert unpack_tile(bytes(33)) is None
    assert unpack_tile(bytes(64)) == [bytes(32)] * 2


def test_the_example_of_the_specification() -> None:
    """A tree of 70,000: 273 full tiles and one of 112, one full and one of 17, one of 1."""
    edge = Edge()
    for _ in range(70_000):
        edge.push(bytes(32))
    full = [name for name, _ in edge.full]
    assert full == [*(TileName(0, i) for i in range(256)), TileName(1, 0), *(TileName(0, i) for i in range(256, 273))]
    assert [name for name, _ in edge.partial()] == [TileName(0, 273, 112), TileName(1, 1, 17), TileName(2, 0, 1)]
    assert expected(0, 273, 70_000) == TileName(0, 273, 112)
    assert expected(-1, 272, 70_000) == TileName(-1, 272)
    assert expected(0, 274, 70_000) is None


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 700, 65_536, 65_537])
def test_edge_and_tiles_lead_to_the_same_root(size: int) -> None:
    leaves = [merkle.leaf_hash(str(i).encode()) for i in range(size)]
    edge = Edge()
    for leaf in leaves:
        edge.push(leaf)
    tiles = {(name.level, name.index): hashes for name, hashes in (*edge.full, *edge.partial())}
    node = tile_node(lambda level, index: tiles[level, index])
    root = merkle.tree_root(node, size)
    assert edge.root() == root
    for index in {0, size // 2, size - 1} if size else ():
        assert merkle.check_inclusion(leaves[index], index, size, merkle.inclusion_proof(node, index, size), root)


def test_a_copy_grows_apart() -> None:
    edge = Edge()
    edge.push_leaf(b"a")
    copy = edge.copy()
    copy.push_leaf(b"b")
    assert (edge.size, copy.size) == (1, 2)
    assert edge.root() == merkle.leaf_hash(b"a")
