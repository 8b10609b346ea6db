"""Flows of Argus as CSV (`ra -c ,`, files called .binetflow), with their line of column names.

    StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label

Guarantees: one FLOW row a flow of IP, whole, known when the flow ended; `orig` is the end that Argus's arrow starts
from. conn_state follows from the TCP flags of both sides (`SRPA_SPA`) or Argus's word for the transaction (`CON`,
`INT`). Argus counts frames: Ethernet's 14 bytes a packet are taken off. Where it doesn't say how many packets each side
sent, half of them are counted for each side that sent bytes. Other protocols (ARP) are `ignored`; labels aren't read.
"""

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.flows import ACK, FIN, PROTOCOLS, PSH, RST, SYN, TCP, URG, Ends, add_flow, conn_state
from sensors.logs.recognise import head_lines
from sensors.logs.source import LogSource
from sensors.logs.time import SECOND, epoch, iso
from sensors.registry import Format, Input
from sensors.values import ConnState, Source

SLACK_NS = 600 * SECOND
_NEEDED = {"starttime", "dur", "proto", "srcaddr", "dstaddr"}
_FLAGS = {"S": SYN, "F": FIN, "R": RST, "A": ACK, "P": PSH, "U": URG}
_ETHERNET = 14
_WORDS = {
    "CON": (ConnState.S1, ConnState.SF), "EST": (ConnState.S1, ConnState.SF), "ACC": (ConnState.S1, ConnState.SF),
    "FIN": (ConnState.SF, ConnState.SF), "CLO": (ConnState.SF, ConnState.SF), "REQ": (ConnState.S0, ConnState.S0),
    "INT": (ConnState.S0, ConnState.S0),
}  # fmt: skip


class BinetflowParser:
    """Reads one line, remembering the columns."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        values = [value.strip() for value in line.decode("latin-1").split(",")]
        if self.learn(values):
            return True
        if not self._names:
            raise MalformedLineError("binetflow.no-columns", "a line before the names of the columns")
        if len(values) != len(self._names):
            raise MalformedLineError("binetflow.columns", "not as many values as columns")
        given = dict(zip(self._names, values, strict=True))
        if given["proto"].lower() not in PROTOCOLS:
            return False
        _tell(given, seq, out)
        return True

    def learn(self, values: list[str]) -> bool:
        """Take the names of the columns, if that is what these are."""
        names = [value.lower() for value in values]
        if set(names) >= _NEEDED:
            self._names = names
            return True
        return False


def _tell(given: dict[str, str], seq: int, out: BatchBuilder) -> None:
    protocol, stamp = PROTOCOLS[given["proto"].lower()], given["starttime"].encode()
    start = epoch(stamp) if stamp[:10].isdigit() else iso(stamp)
    span = start, start + round(min(float(given["dur"]), 1e9) * 1e6) * 1000
    packets, frames = _counts(given)
    size = (max(0, frames[0] - _ETHERNET * packets[0]), max(0, frames[1] - _ETHERNET * packets[1]))
    state, flags = _state(given.get("state", ""), protocol, packets)
    ends = (given["srcaddr"], _port(given.get("sport", ""))), (given["dstaddr"], _port(given.get("dport", "")))
    if given.get("dir", "").strip("? ") == "<-":
        ends, packets, size, flags = ends[::-1], packets[::-1], size[::-1], flags[::-1]
    orig, resp = ends
    add_flow(out, seq, Ends(orig[0], resp[0], orig[1], resp[1], protocol), state, span, packets, size, flags)


def _counts(given: dict[str, str]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return packets and bytes of frames, each of (source, destination)."""
    total, size, sent = (int(given.get(name) or 0) for name in ("totpkts", "totbytes", "srcbytes"))
    if given.get("srcpkts"):
        sent_packets = int(given["srcpkts"])
    elif sent >= size:
        sent_packets = total
    else:
        sent_packets = total // 2 if sent else 0
    return (sent_packets, max(0, total - sent_packets)), (sent, max(0, size - sent))


def _state(text: str, protocol: int, packets: tuple[int, int]) -> tuple[ConnState, tuple[int, int]]:
    if protocol == TCP and "_" in text:
        orig, resp = (sum({_FLAGS.get(letter, 0) for letter in side}) for side in text.split("_", 1))
        return conn_state(protocol, (orig, resp), packets), (orig, resp)
    if protocol == TCP and text == "RST":
        return (ConnState.REJ if sum(packets) <= 2 else ConnState.RSTO), (0, 0)
    word = _WORDS.get(text, (ConnState.OTH, ConnState.OTH))
    return word[protocol != TCP] if protocol in (6, 17) else ConnState.OTH, (0, 0)


def _port(text: str) -> int:
    """Return a port, or the type or code of ICMP, in decimal or hexadecimal; 0 where there is none."""
    return int(text[:8] or "0", 16 if text[:2].lower() == "0x" else 10)


def _recognise(head: bytes, name: str) -> int:
    lines = head_lines(head)
    return 85 if lines and BinetflowParser().learn(lines[0].decode("latin-1").split(",")) else 0


def _open(item: Input) -> Source:
    parser = BinetflowParser()
    if item.follow:
        for line in head_lines(item.head())[:1]:
            parser.learn(line.decode("latin-1").split(","))
    return LogSource(item, FORMAT.name, parser, SLACK_NS)


FORMAT = Format("binetflow", "Argus flows as CSV (binetflow)", _recognise, _open)
