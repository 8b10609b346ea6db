"""Build a `Batch` from rows that come one by one in the order of the lines, or many at once in the order of theirs.

Texts are interned: each distinct text is decoded and stored once a batch. Bytes that aren't UTF-8 become `\\xNN` (so
does half a surrogate pair from JSON): every text of a batch can be encoded again, and two different byte strings seldom
become one text. A number that doesn't fit its column makes `build` leave that row out and name its line.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sensors.addresses import normalise_host
from sensors.hops import NOBODY, Proxies
from sensors.values import DTYPES, AuthOutcome, Batch, Kind, Rows

Text = str | bytes
Row = tuple[int, ...]


def decode(value: Text) -> str:
    """Return a text that is valid Unicode whatever came in."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


class BatchBuilder:
    """Collects the rows of one batch."""

    __slots__ = ("_codes", "_hosts", "_lines", "_rows", "_tables", "_texts", "_times", "now_ns", "proxies")

    def __init__(self, now_ns: int, proxies: Proxies = NOBODY) -> None:
        self.now_ns = now_ns
        """For time stamps without a year."""
        self.proxies = proxies
        """Whose headers name the client."""
        self._texts: list[str] = [""]
        self._codes: dict[Text, int] = {"": 0, b"": 0}
        self._hosts: dict[Text, int] = {"": 0, b"": 0}
        self._times: list[int] = []
        self._lines: list[int] = []
        self._rows: dict[Kind, list[Row]] = {}
        self._tables: dict[Kind, list[Rows]] = {}

    def text(self, value: Text) -> int:
        """Return the code of a text."""
        code = self._codes.get(value)
        return self._intern(value) if code is None else code

    def host(self, value: Text) -> int:
        """Return the code of an address or host name, normalised."""
        code = self._hosts.get(value)
        if code is None:
            code = self._hosts[value] = self.text(normalise_host(decode(value)))
        return code

    def row(self, kind: Kind, row: Row) -> None:
        """Add a row of any kind: the values of its columns, texts as codes."""
        self._times.append(row[0])
        self._lines.append(row[1])
        rows = self._rows.get(kind)
        if rows is None:
            rows = self._rows[kind] = []
        rows.append(row)

    def table(self, kind: Kind, rows: Rows) -> None:
        """Add rows of one kind, in the order of their lines; lines that have other rows have none here."""
        self._tables.setdefault(kind, []).append(rows)

    def auth(
        self,
        ts: int,
        seq: int,
        outcome: AuthOutcome,
        *,
        orig: Text = b"",
        resp: Text = b"",
        user: Text = b"",
        service: Text = b"",
        method: Text = b"",
        count: int = 1,
    ) -> None:
        """Add a row of an attempt to authenticate."""
        text, host = self.text, self.host
        codes = (host(orig), host(resp), text(user), text(service), text(method))
        self.row(Kind.AUTH, (ts, seq, 0, *codes, outcome, count))

    def http(
        self,
        ts: int,
        seq: int,
        status: int,
        size: int,
        *,
        orig: Text = b"",
        resp: Text = b"",
        host: Text = b"",
        method: Text = b"",
        path: Text = b"",
        agent: Text = b"",
        referrer: Text = b"",
        user: Text = b"",
    ) -> None:
        """Add a row of an HTTP request; `size` is that of the response body in bytes."""
        text = self.text
        codes = (
            self.host(orig), self.host(resp), text(host.lower()), text(method), text(path), text(agent),
            text(referrer), text(user),
        )  # fmt: skip
        self.row(Kind.HTTP, (ts, seq, 0, *codes, status, size))

    def client(self, peer: Text, headers: Mapping[str, Text]) -> Text:
        """Return the client behind a peer by its headers (`sensors.hops.HEADERS`); the peer where it isn't trusted."""
        if not self.proxies or not any(headers.values()):
            return peer
        return self.proxies.client(decode(peer), {name: decode(value) for name, value in headers.items()})

    def build(self, name: str, watermark: int) -> tuple[Batch, list[int]]:
        """Return the batch, each table sorted by (ts, seq), and the lines whose rows don't fit their columns."""
        misfits: list[int] = []
        tables: dict[Kind, Rows] = {}
        for kind, dtype in DTYPES.items():
            parts = self._tables.get(kind, [])
            if kind in self._rows:
                parts = [_table(dtype, self._rows[kind], misfits), *parts]
            if parts:
                tables[kind] = _sorted(parts)
        return Batch((name,), watermark, tables, self._texts), misfits

    def event_times(self) -> NDArray[np.int64]:
        """Return the event times of the rows in the order of the lines."""
        times = np.array(self._times, np.int64)
        tables = [table for parts in self._tables.values() for table in parts]
        if not tables:
            return times
        lines = np.concatenate([np.array(self._lines, np.uint64), *(table["seq"] for table in tables)])
        every: NDArray[np.int64] = np.concatenate([times, *(table["ts"] for table in tables)])
        return every[np.argsort(lines, kind="stable")]

    def _intern(self, value: Text) -> int:
        string = decode(value)
        code = self._codes.get(string)
        if code is None:
            code = self._codes[string] = len(self._texts)
            self._texts.append(string)
        self._codes[value] = code
        return code


def _table(dtype: "np.dtype[np.void]", rows: list[Row], misfits: list[int]) -> Rows:
    """Return rows as a table; columns at the end that a format doesn't give are 0."""
    table = np.zeros(len(rows), dtype)
    given = np.dtype([(name, dtype[name]) for name in (dtype.names or ())[: len(rows[0])]])
    try:
        some = np.array(rows, given)
    except (OverflowError, ValueError):
        some = np.array([row for row in rows if _fits(row, given, misfits)], given)
        table = table[: len(some)]
    for name in given.names or ():
        table[name] = some[name]
    return table


def _fits(row: Row, dtype: "np.dtype[np.void]", misfits: list[int]) -> bool:
    try:
        np.array(row, dtype)
    except (OverflowError, ValueError):
        misfits.append(row[1])
        return False
    return True


def _sorted(parts: list[Rows]) -> Rows:
    """Return the rows of several tables by (ts, seq); rows of one line keep their order."""
    if len(parts) == 1:
        return parts[0][np.argsort(parts[0]["ts"], kind="stable")]
    table = np.concatenate(parts)
    return table[np.lexsort((table["seq"], table["ts"]))]
