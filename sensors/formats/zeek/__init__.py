"""Zeek's conn, dns, http, ssl, ssh, files, notice, weird and arp logs, in TSV or JSON lines.

Guarantees: columns are found by the names in `#fields`, in any order, and headers may come again within a file (logs
put together); extra columns are allowed, also those of `.labeled` files that are joined by three blanks. A conn line is
a FLOW row that is START and END at once, with `ts` = start + duration. An ssh line is an AUTH row where Zeek knows
whether the login succeeded, a files line a FILE row (not for certificates), notice and weird lines are ALERT rows.
Lines of other Zeek logs are `ignored`.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sensors.formats.zeek.tables import TABLES, Table, Values
from sensors.logs.builder import BatchBuilder, decode
from sensors.logs.errors import MalformedLineError
from sensors.logs.json import read_object
from sensors.logs.lines import Block
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import head_lines
from sensors.logs.source import LogSource
from sensors.logs.time import SECOND
from sensors.registry import Format, Input
from sensors.values import Source

if TYPE_CHECKING:
    from sensors.logs.columns import Columns

SLACK_NS = 600 * SECOND
"""Zeek writes a flow when it has been idle for up to five minutes."""

_BY_PATH = {table.path: table for table in TABLES}
_SEPARATOR = Pattern(r"^\\x[0-9a-fA-F]{2}$")


class ZeekParser:
    """Reads one line, remembering the header."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        """Name of the log where its lines don't tell it."""
        self._separator, self._unset, self._empty = b"\t", b"-", b"(empty)"
        self._columns: list[str] = []
        self._wide = False
        self._pick: Callable[[list[bytes]], Values] | None = None
        self._table: Table | None = _BY_PATH.get(path)

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if line[:1] == b"{":
            return self._json(line, seq, out)
        if line[:1] == b"#":
            self._header(line)
            return True
        return bool(line) and self._tsv(line, seq, out)

    def parse_block(self, block: Block, out: BatchBuilder, one: Callable[[int], None]) -> tuple[int, int]:
        """Add the rows of a block; see `BlockParser`. Only lines of conn have a plain form."""
        head = next((index for index, line in enumerate(block.lines) if line[:1] != b"#"), len(block.lines))
        for index in range(head):
            one(index)
        lines = self._plain(block, head, out)
        if lines is not None:
            return lines.others(one, head)
        for index in range(head, len(block.lines)):
            one(index)
        return 0, 0

    def _plain(self, block: Block, head: int, out: BatchBuilder) -> "Columns | None":
        """Add the rows of plain lines and return which they were; None where all are to be read one by one."""
        from sensors.formats.zeek.conn import add_json, add_tsv  # the kernels are heavy
        from sensors.logs.columns import Columns

        if head == len(block.lines):
            return None
        lines = Columns(block)
        if ord("#") in lines.first_bytes()[head:]:
            return None
        lines.plain[:head] = False
        if block.lines[head][:1] == b"{":
            named = self._path == "conn" or (False if self._path in _BY_PATH else None)
            add_json(lines, named, out)
        elif self._pick is not None and self._table is _BY_PATH["conn"] and not self._wide:
            add_tsv(lines, self._columns, self._separator, (self._unset, self._empty), out)
        else:
            return None
        return lines

    def _tsv(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        if self._pick is None or self._table is None:
            if self._columns:
                return False
            raise MalformedLineError("zeek.no-header", "there was no #fields line before it")
        if self._wide:
            line = line.replace(b"   ", self._separator)
        values = line.split(self._separator)
        if len(values) != len(self._columns):
            raise MalformedLineError("zeek.columns", "not as many columns as #fields has")
        return self._table.add(self._pick(values), seq, out)

    def _json(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        fields = read_object(line)
        told = fields.get("_path")
        table = _BY_PATH.get(told) if isinstance(told, str) else _BY_PATH.get(self._path) or _guess(fields)
        if table is None:
            if "ts" not in fields:
                raise MalformedLineError("zeek.ts", "there is no time stamp")
            return False
        return table.add([fields.get(name) for name in table.fields], seq, out)

    def _header(self, line: bytes) -> None:
        if line.startswith(b"#separator "):
            self._separator = _separator(line[11:].strip())
            return
        name, _, rest = line[1:].partition(self._separator)
        if name == b"unset_field":
            self._unset = rest
        elif name == b"empty_field":
            self._empty = rest
        elif name == b"path":
            self._table, self._columns, self._pick = _BY_PATH.get(rest.decode("latin-1")), [], None
        elif name == b"fields":
            self._fields(rest)

    def _fields(self, names: bytes) -> None:
        self._wide = b"   " in names
        if self._wide:
            names = names.replace(b"   ", self._separator)
        self._columns = names.decode("latin-1").split(self._separator.decode("latin-1"))
        if self._table is not None:
            self._pick = _picker(self._columns, self._table.fields, (self._unset, self._empty))


def _separator(text: bytes) -> bytes:
    if not _SEPARATOR.matches(text):
        raise MalformedLineError("zeek.separator", "#separator isn't a byte in hexadecimal")
    return bytes.fromhex(text[2:].decode())


def _picker(columns: list[str], wanted: tuple[str, ...], absent: tuple[bytes, ...]) -> Callable[[list[bytes]], Values]:
    """Return what takes the wanted values out of a line's columns; None for one that is unset or isn't there."""
    places = [columns.index(name) if name in columns else -1 for name in wanted]

    def pick(values: list[bytes]) -> Values:
        row = [values[place] if place >= 0 else None for place in places]
        return [None if value in absent else value for value in row]

    return pick


def _guess(fields: dict[str, Any]) -> Table | None:  # Any: JSON
    return next((table for table in TABLES if not table.marks.isdisjoint(fields)), None)


def _recognise(head: bytes, name: str) -> int:
    lines = head_lines(head)
    if not lines:
        return 0
    if lines[0].startswith((b"#separator ", b"#fields\t")):
        return 98
    try:
        fields = json.loads(decode(lines[0]))
    except (ValueError, RecursionError):
        return 0
    if not isinstance(fields, dict) or "ts" not in fields:
        return 0
    if "id.orig_h" in fields:
        return 95
    return 90 if "uid" in fields or "orig_h" in fields or _guess(fields) is not None else 0


def _open(item: Input) -> Source:
    parser = ZeekParser(item.path.name.partition(".")[0])
    if item.follow:  # the header lies before the point where following begins
        builder = BatchBuilder(item.now_ns)
        for line in head_lines(item.head()):
            if line.startswith(b"#"):
                parser.parse(line, 0, builder)
    return LogSource(item, FORMAT.name, parser, SLACK_NS)


FORMAT = Format(
    "zeek", "Zeek logs: conn, dns, http, ssl, ssh, files, notice, weird, arp (TSV or JSON)", _recognise, _open
)
