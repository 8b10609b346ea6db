"""The Merkle tree of RFC 6962 section 2.1 (SHA-256): roots, proofs, and the checks of proofs.

Pure. A tree is seen through `Node`, a function that gives the hash of a perfect subtree; where the hashes come from is
the caller's business. Guarantees: a proof made here verifies under RFC 9162 sections 2.1.3.2 and 2.1.4.2, and the
verifiers below answer False, never raise, for proofs of any length and content. Does not know of tiles, files or
signatures.
"""

import hashlib
from collections.abc import Callable, Sequence

Node = Callable[[int, int], bytes]
"""`node(height, index)`: the hash of the perfect subtree over leaves [index * 2^height, (index + 1) * 2^height)."""

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962: prefix 0x00)."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962: prefix 0x01)."""
    return hashlib.sha256(b"\1" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 2^k hashes, k >= 0."""
    while len(hashes) > 1:
        pairs = iter(hashes)
        hashes = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=True)]
    return hashes[0]


def split(size: int) -> int:
    """Return the largest power of two below `size` (size > 1)."""
    return 1 << (size - 1).bit_length() - 1


def subtree_root(node: Node, start: int, end: int) -> bytes:
    """Return MTH(D[start:end]) for start < end, where start is a multiple of the next power of two of the length."""
    size = end - start
    if size & (size - 1) == 0:
        height = size.bit_length() - 1
        return node(height, start >> height)
    middle = start + split(size)
    return node_hash(subtree_root(node, start, middle), subtree_root(node, middle, end))


def tree_root(node: Node, size: int) -> bytes:
    """Return the root of the tree over the first `size` leaves."""
    return subtree_root(node, 0, size) if size else EMPTY_ROOT


def inclusion_proof(node: Node, index: int, size: int) -> list[bytes]:
    """Return PATH(index, D[0:size]), leaf end first, for 0 <= index < size."""
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            proof.append(subtree_root(node, middle, end))
            end = middle
        else:
            proof.append(subtree_root(node, start, middle))
            start = middle
    return proof[::-1]


def consistency_proof(node: Node, old: int, new: int) -> list[bytes]:
    """Return PROOF(old, D[0:new]) for 0 <= old <= new; empty where old is 0 or new."""
    proof: list[bytes] = []
    start, end, complete = 0, new, True
    while 0 < old < end:
        middle = start + split(end - start)
        if old <= middle:
            proof.append(subtree_root(node, middle, end))
            end = middle
        else:
            proof.append(subtree_root(node, start, middle))
            start, complete = middle, False
    if not complete:
        proof.append(subtree_root(node, start, end))
    return proof[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `proof` shows the leaf hash at `index` of the tree with `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, seen = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            seen = node_hash(sibling, seen)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            seen = node_hash(seen, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and seen == root


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether `proof` shows that the tree of size `new` begins with the tree of size `old` (RFC 9162, 2.1.4.2)."""
    if old == new or old == 0:
        return not proof and (old_root == (new_root if old == new else EMPTY_ROOT))
    if not 0 < old < new or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    seen_old = seen_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            seen_old, seen_new = node_hash(sibling, seen_old), node_hash(sibling, seen_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            seen_new = node_hash(seen_new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and seen_old == old_root and seen_new == new_root
