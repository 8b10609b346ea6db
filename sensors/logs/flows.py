"""Rows of flows from logs that tell one packet or one finished flow a line."""

from dataclasses import dataclass

from sensors.addresses import address_halves
from sensors.logs.builder import BatchBuilder, Row, Text, decode
from sensors.values import FLOW, ConnState, FlowEvent, Kind, Service

TCP, UDP = 6, 17
PROTOCOLS = {
    "tcp": TCP, "udp": UDP, "icmp": 1, "igmp": 2, "gre": 47, "esp": 50, "ah": 51, "ospf": 89,
    "icmpv6": 58, "ipv6-icmp": 58, "ipv6icmp": 58, "sctp": 132, "udplite": 136,
}  # fmt: skip
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
_UNTOLD = (0,) * (len(FLOW.names or ()) - 27)
"""What only packets tell."""
_WHOLE = int(FlowEvent.START | FlowEvent.END)


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a flow, as the log writes them."""

    orig: Text
    resp: Text
    orig_port: int = 0
    resp_port: int = 0
    protocol: int = 0


def protocol_number(text: Text) -> int:
    """Return the IANA number of a protocol given by name or number; 0 for a name that isn't known."""
    name = decode(text).lower()
    return PROTOCOLS.get(name, 0) if not name.isdecimal() else int(name[:4])


def add_flow(
    out: BatchBuilder,
    seq: int,
    ends: Ends,
    state: ConnState,
    span: tuple[int, int],
    packets: tuple[int, int] = (1, 0),
    size: tuple[int, int] = (0, 0),
    flags: tuple[int, int] = (0, 0),
) -> None:
    """Add a whole flow; `span` is when it began and ended (ns), `size` bytes of IP packets; (orig, resp) each.

    Payload isn't told by such logs: it counts as what the smallest headers leave. Raises ValueError for an address that
    isn't one.
    """
    halves = (*address_halves(decode(ends.orig)), *address_halves(decode(ends.resp)))
    key = (*halves, ends.orig_port, ends.resp_port, ends.protocol)
    out.row(Kind.FLOW, flow_row(seq, _WHOLE, key, state, span, packets, size, flags, packets, size))


def flow_row(
    seq: int,
    event: int,
    key: tuple[int, int, int, int, int, int, int],
    state: ConnState,
    span: tuple[int, int],
    packets: tuple[int, int],
    size: tuple[int, int],
    flags: tuple[int, int],
    all_packets: tuple[int, int],
    all_size: tuple[int, int],
) -> Row:
    """Return a row of FLOW of what is new (`packets`, `size` as in `add_flow`) and of the flow so far (`all_...`).

    `key` holds the halves of both addresses, both ports and the protocol.
    """
    protocol = key[6]
    headers = (40 if key[0] else 20) + (20 if protocol == TCP else 8)
    bare = protocol == TCP and (state in (ConnState.S0, ConnState.REJ) or (flags[0] & SYN and packets == (1, 0)))

    def payload(whole: tuple[int, int], count: tuple[int, int]) -> tuple[int, int]:
        if bare:  # the rest of opening packets is options
            return 0, 0
        return max(0, whole[0] - headers * count[0]), max(0, whole[1] - headers * count[1])

    return (
        span[1], seq, 0, event, *key, int(state), int(Service.UNKNOWN), *flags, *span, *all_packets,
        *payload(all_size, all_packets), *all_size, *packets, *payload(size, packets), *_UNTOLD,
    )  # fmt: skip


def packet_state(protocol: int, flags: int, refused: bool, answered: bool) -> ConnState:
    """Return the state of a flow of which a firewall saw one packet.

    Refused attempts are S0, or REJ where the firewall answered; anything else (let through, or in the middle of a
    connection, where stray packets are common) is OTH.
    """
    opening = protocol == UDP or (protocol == TCP and flags & (SYN | ACK) == SYN)
    if not refused or not opening:
        return ConnState.OTH
    return ConnState.REJ if answered else ConnState.S0


def conn_state(protocol: int, flags: tuple[int, int], packets: tuple[int, int]) -> ConnState:
    """Return Zeek's conn_state as far as the TCP flags of (orig, resp), or who sent packets, tell it."""
    orig, resp = flags
    if protocol != 6:
        if protocol != 17 or not packets[0]:
            return ConnState.OTH
        return ConnState.SF if packets[1] else ConnState.S0
    if not orig & SYN:
        return ConnState.OTH
    if not resp & SYN:
        if resp & RST:
            return ConnState.REJ
        return ConnState.RSTOS0 if orig & RST else ConnState.SH if orig & FIN else ConnState.S0
    if (orig | resp) & RST:
        return ConnState.RSTO if orig & RST else ConnState.RSTR
    return _CLOSED[bool(orig & FIN), bool(resp & FIN)]


_CLOSED = {
    (True, True): ConnState.SF, (True, False): ConnState.S2, (False, True): ConnState.S3, (False, False): ConnState.S1,
}  # fmt: skip
