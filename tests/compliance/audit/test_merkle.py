"""The Merkle tree against a naive reading of RFC 6962 and known roots."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.audit import merkle

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/audit/merkle.json").read_text())
LEAVES = [f"leaf {i}".encode() for i in range(70)]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as section 2.1 defines it."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def node(height: int, index: int) -> bytes:
    return naive_root(LEAVES[index << height : (index + 1) << height])


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"][:size]]
    assert naive_root(leaves).hex() == VECTORS["roots"][size]
    known = merkle.tree_root(lambda height, index: naive_root(leaves[index << height : (index + 1) << height]), size)
    assert known.hex() == VECTORS["roots"][size]


@given(st.integers(0, 70))
def test_root_is_the_one_of_the_rfc(size: int) -> None:
    assert merkle.tree_root(node, size) == naive_root(LEAVES[:size])


@given(st.data())
def test_inclusion_proofs_verify_and_nothing_else_does(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    root, leaf = naive_root(LEAVES[:size]), merkle.leaf_hash(LEAVES[index])
    proof = merkle.inclusion_proof(node, index, size)
    assert merkle.check_inclusion(leaf, index, size, proof, root)
    assert not merkle.check_inclusion(merkle.leaf_hash(b"other"), index, size, proof, root)
    assert not merkle.check_inclusion(leaf, index, size, [*proof, root], root)
    other = data.draw(st.integers(-1, size).filter(lambda i: i != index))
    assert not merkle.check_inclusion(leaf, other, size, proof, root)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not merkle.check_inclusion(leaf, index, size, proof[:at] + proof[at + 1 :], root)
        assert not merkle.check_inclusion(leaf, index, size, [*proof[:at], bytes(32), *proof[at + 1 :]], root)


@given(st.data())
def test_consistency_proofs_verify_and_nothing_else_does(data: st.DataObject) -> None:
    new = data.draw(st.integers(0, 70))
    old = data.draw(st.integers(0, new))
    old_root, new_root = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    proof = merkle.consistency_proof(node, old, new)
    assert merkle.check_consistency(old, old_root, new, new_root, proof)
    assert not merkle.check_consistency(old, bytes(32), new, new_root, proof)
    assert not merkle.check_consistency(old, old_root, new, new_root, [*proof, new_root])
    assert not merkle.check_consistency(new + 1, old_root, new, new_root, proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not merkle.check_consistency(old, old_root, new, new_root, proof[:at] + proof[at + 1 :])
        assert not merkle.check_consistency(old, old_root, new, bytes(32), proof)


@given(st.integers(-2, 80), st.integers(-2, 80), st.lists(st.binary(max_size=40), max_size=9), st.binary(max_size=40))
def test_verifiers_never_raise(first: int, second: int, proof: list[bytes], root: bytes) -> None:
    assert not merkle.check_inclusion(b"x", first, second, proof, root)
    assert merkle.check_consistency(first, root, second, root, proof) in (False, first == second and not proof)
