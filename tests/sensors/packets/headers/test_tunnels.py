"""Tunnels are opened one level deep and noted; what only looks like one is the flow that it is."""

import struct

import pytest

from sensors.values import Tunnel

A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"
OUT, IN = "192.0.2.1", "192.0.2.2"
OUT6, IN6 = "2001:db8:f::1", "2001:db8:f::2"
UDP = struct.pack("!HHHH", 1111, 2222, 12, 0) + b"data"


def ethernet(packet, kind=0x0800):
    return bytes(12) + struct.pack("!H", kind) + packet


def udp(port, payload):
    return struct.pack("!HHHH", 50000, port, 8 + len(payload), 0) + payload


VXLAN = b"\x08\0\0\0" + (4660 << 8).to_bytes(4, "big")
GENEVE = b"\x02\0\x65\x58" + (77 << 8).to_bytes(4, "big") + b"\x01\x02\x80\x01" + b"\0\0\0\1"


def wrapped(build, kind):
    """Return a raw IP packet, and the tunnel and its number that are expected."""
    four, six = build.ip(17, UDP, A, B), build.ip(17, UDP, A6, B6)
    inside = {
        "gre": (47, b"\0\0\x08\0" + four, Tunnel.GRE, 0),
        "gre-ipv6": (47, b"\0\0\x86\xdd" + six, Tunnel.GRE, 0),
        "gre-key-checksum-sequence": (47, b"\xb0\0\x08\0" + bytes(4) + b"\0\0\0\x2a" + bytes(4) + four, Tunnel.GRE, 42),
        "gre-ethernet": (47, b"\0\0\x65\x58" + ethernet(four), Tunnel.GRE, 0),
        "gre-ethernet-vlan": (47, b"\0\0\x65\x58" + ethernet(b"\0\x07\x08\0" + four, 0x8100), Tunnel.GRE, 0),
        "erspan": (47, b"\x10\0\x88\xbe" + bytes(4) + bytes(8) + ethernet(four), Tunnel.GRE, 0),
        "vxlan": (17, udp(4789, VXLAN + ethernet(four)), Tunnel.VXLAN, 4660),
        "vxlan-old-port": (17, udp(8472, VXLAN + ethernet(four)), Tunnel.VXLAN, 4660),
        "vxlan-ipv6": (17, udp(4789, VXLAN + ethernet(six, 0x86DD)), Tunnel.VXLAN, 4660),
        "geneve": (17, udp(6081, GENEVE + ethernet(four)), Tunnel.GENEVE, 77),
        "geneve-ip": (17, udp(6081, b"\0\0\x08\0" + bytes(4) + four), Tunnel.GENEVE, 0),
        "4in4": (4, four, Tunnel.IPV4_IN_IPV4, 0),
        "6in4": (41, six, Tunnel.IPV6_IN_IPV4, 0),
    }
    if kind in inside:
        proto, body, tunnel, number = inside[kind]
        return build.ip(proto, body, OUT, IN), tunnel, number
    proto, body, tunnel = {"4in6": (4, four, Tunnel.IPV4_IN_IPV6), "6in6": (41, six, Tunnel.IPV6_IN_IPV6)}[kind]
    return build.ip(proto, body, OUT6, IN6), tunnel, 0


KINDS = """gre gre-ipv6 gre-key-checksum-sequence gre-ethernet gre-ethernet-vlan erspan vxlan vxlan-old-port vxlan-ipv6
geneve geneve-ip 4in4 6in4 4in6 6in6"""


@pytest.mark.parametrize("kind", KINDS.split())
def test_the_flow_inside_is_told_with_its_tunnel(build, read, kind):
    packet, tunnel, number = wrapped(build, kind)
    outcome = read(build.pcap([(0, packet)], link=101))
    assert outcome.told[0] == (
        "START",
        "OTH",
        A6 if kind in ("gre-ipv6", "vxlan-ipv6", "6in4", "6in6") else A,
        1111,
        2222,
    )
    row = outcome.ends[0]
    assert (row["tunnel"], row["tunnel_id"], row["orig_bytes"], row["proto"]) == (tunnel, number, 4, 17)
    assert row["orig_ip_bytes"] == (52 if row["orig_hi"] else 32)


@pytest.mark.parametrize("labels", [b"\0\x01\x91\x40", b"\0\x01\0\x40\0\x01\x91\x40"])
def test_mpls(build, read, labels):
    four = build.ip(17, UDP, A, B)
    for inside in (four, bytes(4) + ethernet(four)):
        for ether in (0x8847, 0x8848):
            row = read(build.pcap([(0, ethernet(labels + inside, ether))])).ends[0]
            assert (row["tunnel"], row["tunnel_id"], row["orig_port"]) == (Tunnel.MPLS, 25, 1111)
    endless = ethernet(b"\0\x01\x90\x40" * 20, 0x8847)
    assert read(build.pcap([(0, endless)])).counters.ignored == 1
    assert read(build.pcap([(0, ethernet(labels, 0x8847))])).counters.faults[0].code == "packet.cut"


def test_pppoe(build, read):
    frame = ethernet(b"\x11\0\0\x01\0\x22" + b"\0\x21" + build.ip(17, UDP, A, B), 0x8864)
    assert read(build.pcap([(0, frame)])).told[0][3:] == (1111, 2222)


def test_a_tunnel_in_a_tunnel_is_a_flow_of_the_second(build, read):
    second = build.ip(47, b"\0\0\x08\0" + build.ip(17, UDP, A, B), "172.16.0.1", "172.16.0.2")
    row = read(build.pcap([(0, build.ip(4, second, OUT, IN))], link=101)).ends[0]
    assert (row["proto"], row["tunnel"]) == (47, Tunnel.IPV4_IN_IPV4)
    labelled = udp(4789, VXLAN + ethernet(b"\0\x01\x91\x40" + build.ip(17, UDP, A, B), 0x8847))
    row = read(build.pcap([(0, build.ip(17, labelled, OUT, IN))], link=101)).ends[0]
    assert (row["resp_port"], row["tunnel"]) == (4789, Tunnel.NONE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x08\0\0\0",
        b"\x08\0\0\1" + bytes(60),  # reserved bits
        VXLAN + bytes(30),  # no IP inside
        VXLAN + ethernet(b"\x45" + bytes(10)),  # cut
        VXLAN + ethernet(b"\x41" + bytes(30)),  # a header that contradicts itself
    ],
)
def test_what_only_looks_like_vxlan_is_udp(build, read, body):
    outcome = read(build.pcap([(0, build.ip(17, udp(4789, body), OUT, IN))], link=101))
    assert outcome.told[0] == ("START", "OTH", OUT, 50000, 4789)
    assert outcome.ends["tunnel"].tolist() == [0]
    assert outcome.counters.malformed == 0


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\x08\0", b"\0\1\x08\0" + bytes(40), b"\x40\0\x08\0" + bytes(40), b"\x20\0\x08\0"]
)
def test_what_only_looks_like_gre_is_its_protocol(build, read, body):
    outcome = read(build.pcap([(0, build.ip(47, body, OUT, IN))], link=101))
    assert (outcome.ends["proto"].tolist(), outcome.ends["tunnel"].tolist()) == ([47], [0])


def test_both_directions_and_fragments_inside_are_one_flow(build, read):
    first = build.ip(17, struct.pack("!HHHH", 1111, 2222, 40, 0) + bytes(16), A, B, piece=0x2000)
    later = build.ip(17, bytes(16), A, B, piece=3)
    answer = build.ip(17, struct.pack("!HHHH", 2222, 1111, 8, 0), B, A)
    frames = [
        (i, build.ip(4, packet, *ends))
        for i, (packet, ends) in enumerate([(first, (OUT, IN)), (later, (OUT, IN)), (answer, (IN, OUT))])
    ]
    ends = read(build.pcap(frames, link=101)).ends
    assert (ends["orig_packets"].tolist(), ends["resp_packets"].tolist()) == ([2], [1])


def test_a_bad_transport_inside_is_a_fault(build, read):
    inside = build.ip(17, b"\0\1\0\2\0\3\0\0", A, B)
    outcome = read(build.pcap([(0, build.ip(4, inside, OUT, IN))], link=101))
    assert [fault.code for fault in outcome.counters.faults] == ["packet.transport"]
