"""What firewalls log of single packets: netfilter (iptables, nftables, UFW, UniFi), pf (filterlog) and RouterOS.

Guarantees: one FLOW row a packet. A refused attempt to open a TCP connection or a refused UDP packet has the state S0,
or REJ where the firewall says that it answered; every other packet is OTH. Netfilter and RouterOS don't say what became
of a packet: it was let through where the log's prefix, which the operator chooses, says so (accept, allow, pass,
audit), and refused otherwise. The readers serve the format `auth`, since these lines come by syslog; the format of this
module is Proxmox VE's own firewall log.
"""

from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.flows import ACK, FIN, PSH, RST, SYN, URG, Ends, add_flow, packet_state, protocol_number
from sensors.logs.patterns import Pattern
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.logs.time import apache
from sensors.registry import Format, Input
from sensors.values import Source

_NETFILTER = Pattern(
    r"^(.*?)\b(?:IN|OUT)=\S* .*?\bSRC=([0-9A-Fa-f.:]+) DST=([0-9A-Fa-f.:]+) LEN=(\d{1,5}) .*?\bPROTO=(\w+)"
    r"(?: SPT=(\d{1,5}) DPT=(\d{1,5})| TYPE=(\d{1,3}) CODE=(\d{1,3}))?(.*)$"
)
_ROUTEROS = Pattern(
    r"^(.*?)\b(?:input|forward|output|prerouting|postrouting|\w+): in:.*, proto (\w+)(?: \(([A-Z,]+)\))?, "
    r"\[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))?->\[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))?, .*\blen (\d{1,5})"
)
_PROXMOX = Pattern(r"^\d+ \d \S+ (\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}) (.*)$")
_LET_THROUGH = Pattern(r"(?i)\b(?:accept|allow|pass|permit|audit)|-A-\d")
_ANSWERED = Pattern(r"(?i)\breject")
_FLAGS = {b"SYN": SYN, b"ACK": ACK, b"FIN": FIN, b"RST": RST, b"PSH": PSH, b"URG": URG}
_LETTERS = {ord("S"): SYN, ord("A"): ACK, ord("F"): FIN, ord("R"): RST, ord("P"): PSH, ord("U"): URG}


def read_netfilter(message: bytes, ts: int, seq: int, out: BatchBuilder) -> bool:
    """Add the row of a message of the kernel's LOG target; return False for any other. May raise ValueError."""
    fields = _NETFILTER.groups(message)
    if fields is None:
        return False
    prefix, orig, resp, size, protocol, orig_port, resp_port, icmp_type, icmp_code, rest = fields
    ports = int(orig_port or icmp_type or 0), int(resp_port or icmp_code or 0)
    flags = sum({_FLAGS.get(word, 0) for word in rest.split()})
    _tell(out, ts, seq, Ends(orig, resp, *ports, protocol_number(protocol)), flags, int(size), prefix)
    return True


def read_routeros(message: bytes, ts: int, seq: int, out: BatchBuilder) -> bool:
    """Add the row of a message of RouterOS's firewall; return False for any other. May raise ValueError."""
    fields = _ROUTEROS.groups(message)
    if fields is None:
        return False
    prefix, protocol, told, orig, orig_port, resp, resp_port, size = fields
    flags = sum({_FLAGS.get(word, 0) for word in told.split(b",")})
    ends = Ends(orig, resp, int(orig_port or 0), int(resp_port or 0), protocol_number(protocol))
    _tell(out, ts, seq, ends, flags, int(size), prefix)
    return True


def read_filterlog(message: bytes, ts: int, seq: int, out: BatchBuilder) -> bool:
    """Add the row of a line of pf's filterlog (pfSense, OPNsense); return False for any other. May raise ValueError."""
    values = message.split(b",")
    if len(values) < 18 or values[8] not in (b"4", b"6"):
        return False
    protocol, size, at = (values[15], values[17], 18) if values[8] == b"4" else (values[13], values[14], 15)
    number = int(protocol)
    orig, resp, *rest = values[at:]
    ports = (int(rest[0]), int(rest[1])) if number in (6, 17) else (0, 0)
    letters = rest[3] if number == 6 and len(rest) > 3 else b""
    flags = sum({_LETTERS.get(letter, 0) for letter in letters})
    _tell(out, ts, seq, Ends(orig, resp, *ports, number), flags, int(size), values[6])
    return True


def _tell(out: BatchBuilder, ts: int, seq: int, ends: Ends, flags: int, size: int, action: bytes) -> None:
    state = packet_state(ends.protocol, flags, not _LET_THROUGH.matches(action), _ANSWERED.matches(action))
    add_flow(out, seq, ends, state, (ts, ts), size=(size, 0), flags=(flags, 0))


class ProxmoxParser:
    """Reads one line of Proxmox VE's firewall log."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the row of a line; see `LineParser`."""
        if not line.strip():
            return False
        fields = _PROXMOX.groups(line)
        if fields is None:
            raise MalformedLineError("firewall.line", "not a line of Proxmox VE's firewall log")
        return read_netfilter(fields[1], apache(fields[0]), seq, out)


def _recognise(head: bytes, name: str) -> int:
    return int(85 * share(head, _PROXMOX.matches))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, ProxmoxParser())


FORMAT = Format("firewall", "Proxmox VE firewall log", _recognise, _open)
