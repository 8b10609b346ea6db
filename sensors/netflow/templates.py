"""Templates of NetFlow 9 and IPFIX: which bytes of a record are what (RFC 7011 8, RFC 3954 5).

Guarantees: at most `MAX_EXPORTERS` exporters with `MAX_TEMPLATES` templates each are remembered, the latest; a template
of more than `MAX_FIELDS` fields is refused; equal templates share one layout. Numbers may take fewer bytes than their
type (RFC 7011 6.2), up to eight; a longer one counts as unknown. Information elements: IANA registry "IPFIX Entities";
reverse ones: RFC 5103.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_EXPORTERS: Final = 256
MAX_TEMPLATES: Final = 64
MAX_FIELDS: Final = 128
VARIABLE: Final = 0xFFFF
_REVERSE: Final = 29305
_NUMBERS: Final = {
    1: "bytes", 2: "packets", 4: "proto", 6: "flags", 7: "src_port", 11: "dst_port", 85: "bytes", 86: "packets",
    231: "bytes", 298: "packets", 232: "back_bytes", 299: "back_packets", 32: "icmp", 139: "icmp", 176: "icmp_type",
    177: "icmp_code", 178: "icmp_type", 179: "icmp_code", 136: "reason", 21: "last_up", 22: "first_up",
    150: "first_s", 151: "last_s", 152: "first_ms", 153: "last_ms", 154: "first_ntp", 155: "last_ntp",
    156: "first_ntp", 157: "last_ntp", 158: "first_ago", 159: "last_ago", 160: "boot_ms",
}  # fmt: skip
_REVERSED: Final = {
    1: "back_bytes", 2: "back_packets", 6: "back_flags", 85: "back_bytes", 86: "back_packets",
}  # fmt: skip
_ADDRESSES: Final = {8: ("src4", 4), 12: ("dst4", 4), 27: ("src6", 16), 28: ("dst6", 16)}

Field = tuple[int, int, int]
"""Enterprise (0 for IANA), number, length in bytes (`VARIABLE`)."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(OrderedDict[K, V], Generic[K, V]):
    """A dictionary of the so many keys that were used last."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: K, value: V) -> None:
        """Enter or renew a key; forget the oldest where there are too many."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the columns of interest lie in a record. Without columns, its records are passed over."""

    columns: "np.dtype[np.void]"
    """Of a record, or of the pieces that `pieces` names, one after the other."""
    size: int
    """Bytes of a record, the fewest where it is `variable`."""
    lengths: tuple[int, ...]
    wanted: tuple[bool, ...]
    variable: bool

    def cut(self, data: bytes) -> tuple[bytes, int]:
        """Return the records' bytes as `columns` wants them, and how many there are."""
        if self.size == 0:
            return b"", 0
        if not self.variable:
            count = len(data) // self.size
            return data[: count * self.size], count
        return self._walk(data)

    def _walk(self, data: bytes) -> tuple[bytes, int]:
        parts: list[bytes] = []
        at = count = 0
        while at + self.size <= len(data):
            pieces, at = self._pieces(data, at)
            if at > len(data):
                break
            parts += pieces
            count += 1
        return b"".join(parts), count

    def _pieces(self, data: bytes, at: int) -> tuple[list[bytes], int]:
        pieces = []
        for length, wanted in zip(self.lengths, self.wanted, strict=True):
            if length == VARIABLE:
                length, at = (data[at] if at < len(data) else 0), at + 1
                if length == 255:
                    length, at = int.from_bytes(data[at : at + 2], "big"), at + 2
            if wanted:
                pieces.append(data[at : at + length])
            at += length
        return pieces, at


@lru_cache(1024)
def layout(fields: tuple[Field, ...], *, options: bool = False) -> Layout:
    """Return the layout of a template."""
    variable = any(length == VARIABLE for _, _, length in fields)
    names: dict[str, tuple[str | tuple[str, tuple[int]], int]] = {}
    wanted, at = [], 0
    for enterprise, number, length in fields:
        column = None if options else _column(enterprise, number, length)
        known = column is not None and column[0] not in names
        if known and column is not None:
            names[column[0]] = column[1], at
        wanted.append(known)
        if known or not variable:
            at += length
    size = sum(1 if length == VARIABLE else length for _, _, length in fields)
    columns = np.dtype(
        {
            "names": list(names),
            "formats": [form for form, _ in names.values()],
            "offsets": [offset for _, offset in names.values()],
            "itemsize": at,
        }
    )
    return Layout(columns, size, tuple(length for _, _, length in fields), tuple(wanted), variable)


def _column(enterprise: int, number: int, length: int) -> tuple[str, str | tuple[str, tuple[int]]] | None:
    """Return (name, numpy form) of a field that is of interest."""
    if enterprise == 0 and number in _ADDRESSES:
        name, size = _ADDRESSES[number]
        return (name, ("u1", (size,))) if length == size else None
    found = _NUMBERS.get(number) if enterprise == 0 else _REVERSED.get(number) if enterprise == _REVERSE else None
    if found is None or not 1 <= length <= 8:
        return None
    return found, (f">u{length}" if length in (1, 2, 4, 8) else ("u1", (length,)))


def numbers(records: NDArray[np.void], name: str) -> NDArray[np.uint64]:
    """Return a column of unsigned numbers of any length; zeros where there is none."""
    if name not in (records.dtype.names or ()):
        return np.zeros(len(records), np.uint64)
    column = records[name]
    if column.ndim == 1:
        return column.astype(np.uint64)
    total = np.zeros(len(records), np.uint64)
    for place in range(column.shape[1]):
        total = (total << np.uint64(8)) | column[:, place].astype(np.uint64)
    return total


def read_fields(data: bytes, at: int, count: int, *, enterprises: bool) -> tuple[tuple[Field, ...], int]:
    """Return `count` field specifiers and where they end; raise ValueError where they are too many or too short."""
    if count > MAX_FIELDS:
        raise ValueError("a template of too many fields")
    fields: list[Field] = []
    for _ in range(count):
        if at + 4 > len(data):
            raise ValueError("a template that ends early")
        number, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        at += 4
        enterprise = 0
        if enterprises and number & 0x8000:
            if at + 4 > len(data):
                raise ValueError("a template that ends early")
            enterprise, number, at = int.from_bytes(data[at : at + 4], "big"), number & 0x7FFF, at + 4
        if length == VARIABLE and not enterprises:
            raise ValueError("a length that is not one")
        fields.append((enterprise, number, length))
    return tuple(fields), at


class Templates:
    """The templates of all exporters."""

    def __init__(self) -> None:
        self._known: Recent[Hashable, Recent[int, Layout]] = Recent(MAX_EXPORTERS)

    def learn(self, exporter: Hashable, number: int, fields: Sequence[Field], *, options: bool) -> None:
        """Take a template; one without fields withdraws it."""
        mine = self._known.get(exporter) or Recent(MAX_TEMPLATES)
        self._known.keep(exporter, mine)
        if fields:
            mine.keep(number, layout(tuple(fields), options=options))
        else:
            mine.pop(number, None)

    def get(self, exporter: Hashable, number: int) -> Layout | None:
        """Return a template's layout, where it is known."""
        mine = self._known.get(exporter)
        return mine.get(number) if mine else None
