"""Compare our flow records with Suricata's on the same captures: what both found, and where they say something else.

    python -m bench.agreement [CAPTURE ...] [--list N]

By default the captures of the examples, and those of the labelled set where OSTIARY_LABELLED names it. Records are put
together per conversation (Community ID, so either direction), because both meters split a long one by time-outs of
their own. Suricata counts the bytes of the link layer, which are taken off: 14 a packet, 4 more where it saw a VLAN;
the padding of short frames, at most `PADDING_BYTES` a packet, cannot be told from what it says and is allowed for. It
leaves frames out that were captured in part, which ours counts; tshark takes them out for both.
`--list N` prints the first N disagreements of each kind.
"""

import argparse
import ipaddress
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.packets import EXAMPLES, machine
from bench.peers import eve_flows, suricata, suricata_version

ETHERNET_BYTES, VLAN_BYTES = 14, 4
PADDING_BYTES = 18
"""An Ethernet frame carries at least 46 bytes, the shortest IPv4 packet with UDP takes 28."""
OURS_CLOSED = frozenset({"SF", "RSTO", "RSTR", "RSTOS0", "RSTRH", "REJ", "S2", "S3"})
SERVICES = {"kerberos": "krb5", "postgresql": "pgsql"}
"""Our names as Suricata writes them, where they differ."""


@dataclass(slots=True)
class Talk:
    """A conversation as one meter saw it."""

    begun: str = ""
    """Address and port of the side that began."""
    begun_at: float = float("inf")
    packets: Counter[str] = field(default_factory=Counter)
    """By the side that sent them."""
    octets: Counter[str] = field(default_factory=Counter)
    """Bytes of the network layer."""
    closed: bool = False
    protocol: str = ""
    services: set[str] = field(default_factory=set)

    def add(self, at: float, sides: tuple[str, str], packets: tuple[int, int], octets: tuple[int, int]) -> None:
        """Put one more record of the conversation in."""
        if at < self.begun_at:
            self.begun_at, self.begun = at, sides[0]
        for side, count, size in zip(sides, packets, octets, strict=True):
            self.packets[side] += count
            self.octets[side] += size


def ours(capture: Path) -> dict[str, Talk]:
    """Return what our packet sensor says of a capture."""
    command = [sys.executable, "-m", "ostiary", "flows", "--json", str(capture)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    talks: dict[str, Talk] = defaultdict(Talk)
    for record in map(json.loads, done.stdout.splitlines()):
        sides = (_side(record["id.orig_h"], record["id.orig_p"]), _side(record["id.resp_h"], record["id.resp_p"]))
        talk = talks[_name(record["community_id"], sides)]
        counts = (record["orig_pkts"], record["resp_pkts"])
        talk.add(record["ts"], sides, counts, (record["orig_ip_bytes"], record["resp_ip_bytes"]))
        talk.protocol = record["proto"]
        talk.closed |= record["conn_state"] in OURS_CLOSED
        if record.get("service"):
            talk.services |= {SERVICES.get(name, name) for name in record["service"].split(",")}
    return talks


def theirs(capture: Path) -> dict[str, Talk]:
    """Return what Suricata says of a capture."""
    talks: dict[str, Talk] = defaultdict(Talk)
    with tempfile.TemporaryDirectory() as folder:
        suricata(capture, Path(folder))
        for record in eve_flows(Path(folder)):
            if "community_id" in record:
                sides = _sides(record)
                _add_theirs(talks[_name(record["community_id"], sides)], record, sides)
    return talks


def _sides(record: Mapping[str, Any]) -> tuple[str, str]:
    return _side(record["src_ip"], record.get("src_port", 0)), _side(record["dest_ip"], record.get("dest_port", 0))


def _name(community_id: str, sides: tuple[str, str]) -> str:
    """Return what names a conversation: not the identifier where a host talks to itself.

    There Suricata 7 orders the ports in another way than the specification and its reference implementation.
    """
    same = sides[0].split()[0] == sides[1].split()[0]
    return " ".join(sorted(sides)) if same else community_id


def _add_theirs(talk: Talk, record: Mapping[str, Any], sides: tuple[str, str]) -> None:
    flow, link = record["flow"], ETHERNET_BYTES + VLAN_BYTES * len(record.get("vlan", ()))
    counts = (flow["pkts_toserver"], flow["pkts_toclient"])
    octets = (flow["bytes_toserver"] - link * counts[0], flow["bytes_toclient"] - link * counts[1])
    at = record["flow"]["start"]
    talk.add(_seconds(at), sides, counts, octets)
    talk.protocol = record["proto"].lower().replace("ipv6-icmp", "icmp")
    talk.closed |= record.get("tcp", {}).get("state") == "closed"
    if record.get("app_proto", "failed") not in ("failed", "unknown"):
        talk.services.add(record["app_proto"])


def _seconds(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


def _side(address: str, port: int) -> str:
    return f"{ipaddress.ip_address(address)} {port}"


def whole_frames(capture: Path, folder: Path) -> Path:
    """Return a copy of a capture without the frames that were captured in part."""
    target = folder / "whole.pcap"
    command = ["tshark", "-r", str(capture), "-Y", "frame.cap_len == frame.len", "-w", str(target)]
    subprocess.run(command, check=False, capture_output=True)  # a capture that ends early still gives what came before
    return target


def compared(mine: Mapping[str, Talk], other: Mapping[str, Talk]) -> Iterator[tuple[str, bool, str]]:
    """Yield (what is compared, whether both say the same, of which conversation) for one capture."""
    for name in mine.keys() | other.keys():
        both = name in mine and name in other
        who = name if both else f"{name} only {'ours' if name in mine else 'Suricata'}"
        talk = mine.get(name) or other[name]
        yield "found by both", both, f"{who} {talk.protocol} {talk.begun}"
        if both:
            for what, same in _differences(mine[name], other[name]):
                yield what, same, f"{name} {talk.protocol} ours {_told(mine[name])} | Suricata {_told(other[name])}"


def _differences(mine: Talk, other: Talk) -> Iterator[tuple[str, bool]]:
    icmp = mine.protocol.startswith("icmp")
    yield "protocol", mine.protocol.split("6")[0] == other.protocol.split("6")[0]
    if not icmp:  # Suricata has type and code where ports are, ours as Zeek does
        yield "who began", mine.begun == other.begun
        yield "packets", mine.packets == other.packets
        yield "bytes, but for padding", all(_padded(mine, other, side) for side in mine.octets | other.octets)
    else:
        yield "packets", sum(mine.packets.values()) == sum(other.packets.values())
    if mine.protocol == "tcp":
        yield "TCP closed or not", mine.closed == other.closed
    if mine.services and other.services:
        yield "service, where both name one", bool(mine.services & other.services)
    elif mine.services or other.services:
        yield f"service named by {'ours' if mine.services else 'Suricata'} alone", False


def _padded(mine: Talk, other: Talk, side: str) -> bool:
    return 0 <= other.octets[side] - mine.octets[side] <= PADDING_BYTES * other.packets[side]


def _told(talk: Talk) -> str:
    services = ",".join(sorted(talk.services)) or "-"
    packets, octets = dict(talk.packets), sum(talk.octets.values())
    return f"{talk.begun} {packets} {octets} B {'closed' if talk.closed else 'open'} {services}"


def captures_of(given: Iterable[Path]) -> list[Path]:
    """Return the captures to read."""
    chosen = list(given) or sorted(EXAMPLES.glob("*.pcap*"))
    if not list(given) and (labelled := os.environ.get("OSTIARY_LABELLED")):
        chosen += sorted(path for path in Path(labelled, "pcap").rglob("*.pcap*") if path.is_file())
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="*")
    parser.add_argument("--list", type=int, default=0)
    given = parser.parse_args()
    same: Counter[str] = Counter()
    total: Counter[str] = Counter()
    shown: dict[str, list[str]] = defaultdict(list)
    captures = captures_of(given.captures)
    for capture in captures:
        with tempfile.TemporaryDirectory() as folder:
            whole = whole_frames(capture, Path(folder))
            if not whole.exists():
                print(f"{capture.name}: not a capture that tshark reads")
                continue
            try:
                found = list(compared(ours(whole), theirs(whole)))
            except subprocess.CalledProcessError as error:
                print(f"{capture.name}: {error.cmd[0]} refuses it")
                continue
            for what, agrees, who in found:
                same[what] += agrees
                total[what] += 1
                if not agrees:
                    shown[what].append(f"{capture.name}: {who}")
    print(f"{machine()}, Suricata {suricata_version()}; {len(captures)} captures")
    print("| compared | conversations | the same | share |\n|---|---|---|---|")
    for what, count in total.most_common():
        print(f"| {what} | {count:,} | {same[what]:,} | {same[what] / count:.2%} |")
    for what, lines in shown.items():
        for line in lines[: given.list]:
            print(f"{what}: {line}")


if __name__ == "__main__":
    main()
