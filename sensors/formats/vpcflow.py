"""Flow logs of Amazon VPC, as text: the default format (version 2), or any with a line of field names first.

    2 123456789010 eni-1 203.0.113.9 192.0.2.1 20641 22 6 20 4249 1793786400 1793786460 REJECT OK

Guarantees: one FLOW row a record, whole. A record is one direction of a flow: an accepted one that a server sent (by
its TCP flags, or else by its ports) is turned around, so that `orig` is who began. A rejected opening, or a rejected
record whose flags aren't told, is S0; everything else is OTH, for the other direction is another record. Records
without data are `ignored`.
"""

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.flows import ACK, SYN, TCP, UDP, Ends, add_flow
from sensors.logs.recognise import head_lines
from sensors.logs.source import LogSource
from sensors.logs.time import SECOND, epoch
from sensors.registry import Format, Input
from sensors.values import ConnState, Source

SLACK_NS = 900 * SECOND  # records come up to 15 minutes late
_DEFAULT = (
    b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    b"log-status"
).split()
_NEEDED = {b"srcaddr", b"dstaddr", b"start", b"end", b"action"}
_REGISTERED, _EPHEMERAL = 10_000, 32_768


class VpcFlowParser:
    """Reads one record, remembering the names of the fields."""

    def __init__(self) -> None:
        self._names = _DEFAULT

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        values = line.split()
        if not values:
            return False
        if self.learn(values):
            return True
        if len(values) != len(self._names):
            raise MalformedLineError("vpcflow.columns", "not as many values as fields")
        given = {name: value for name, value in zip(self._names, values, strict=True) if value != b"-"}
        if not given.keys() >= {b"srcaddr", b"dstaddr", b"action"}:
            return False
        _tell(given, seq, out)
        return True

    def learn(self, values: list[bytes]) -> bool:
        """Take the names of the fields, if that is what these are."""
        if set(values) >= _NEEDED:
            self._names = values
            return True
        return False


def _tell(given: dict[bytes, bytes], seq: int, out: BatchBuilder) -> None:
    protocol, flags = _number(given, b"protocol"), _number(given, b"tcp-flags")
    source, target = (given[b"srcaddr"], _number(given, b"srcport")), (given[b"dstaddr"], _number(given, b"dstport"))
    span = epoch(given.get(b"start", b"")), epoch(given.get(b"end", b""))
    packets, size = _number(given, b"packets"), _number(given, b"bytes")
    if given[b"action"] == b"ACCEPT":
        from_server = flags & (SYN | ACK) == SYN | ACK or (source[1] < _REGISTERED and target[1] >= _EPHEMERAL)
        if from_server and flags & (SYN | ACK) != SYN:
            ends = Ends(target[0], source[0], target[1], source[1], protocol)
            add_flow(out, seq, ends, ConnState.OTH, span, (0, packets), (0, size), (0, flags))
            return
        state = ConnState.OTH
    else:
        opening = protocol == UDP or (protocol == TCP and (b"tcp-flags" not in given or flags & (SYN | ACK) == SYN))
        state = ConnState.S0 if opening else ConnState.OTH
    ends = Ends(source[0], target[0], source[1], target[1], protocol)
    add_flow(out, seq, ends, state, span, (packets, 0), (size, 0), (flags, 0))


def _number(given: dict[bytes, bytes], name: bytes) -> int:
    return int(given.get(name, b"0")[:20])


def _is_record(values: list[bytes]) -> bool:
    return len(values) == len(_DEFAULT) and values[0] == b"2" and values[12] in (b"ACCEPT", b"REJECT", b"-")


def _recognise(head: bytes, name: str) -> int:
    lines = [line.split() for line in head_lines(head)]
    if any(set(values) >= _NEEDED for values in lines[:1]):
        return 85
    return int(85 * sum(map(_is_record, lines)) / len(lines)) if lines else 0


def _open(item: Input) -> Source:
    parser = VpcFlowParser()
    if item.follow:
        for line in head_lines(item.head())[:1]:
            parser.learn(line.split())
    return LogSource(item, FORMAT.name, parser, SLACK_NS)


FORMAT = Format("vpcflow", "Amazon VPC flow log", _recognise, _open)
