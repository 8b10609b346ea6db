"""Measure the packet sensor beside nfstream, Suricata and scapy, on one core, in one run.

    [NFSTREAM=PYTHON] python -m bench.packets [CAPTURE ...] [--packets 1000000] [--rounds 3] [--scapy 20000]

The captures (by default those of the examples) are laid over each other in time and repeated, shifted, until the wanted
number of packets is reached: mixed traffic. Rates are packets a second of processor time over all processes of a
program, which is what one core gives, whatever else the machine does; start-up (measured on a capture of one packet) is
taken off for everybody. `flow records` is decoder and flow table; `all observations` is what `ostiary run` reads, with
requests, handshakes, questions and commands. Each is the best of some rounds.
"""

import argparse
import contextlib
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.peers import Cost, cost_of, nfstream, suricata, suricata_version
from sensors.packets import pcap
from sensors.packets.capture import CaptureSource
from sensors.packets.columns import FAULT, PACKET
from sensors.packets.headers import decode
from sensors.packets.headers.fragments import FRAGMENT, FRAGMENTS
from sensors.settings import SensorSettings
from sensors.values import Kind

CHUNK = 1 << 16
GAP = 1_000_000_000
ETHERNET = 1
EXAMPLES = Path(__file__).parent.parent / "examples" / "captures"
Frame = tuple[int, int, bytes]
"""Time, length on the wire, bytes."""


def mixed(captures: list[Path]) -> list[Frame]:
    """Return the Ethernet frames of captures as if all had begun at once, in order of time."""
    frames: list[Frame] = []
    for path in captures:
        source = CaptureSource.open(path, path.name, SensorSettings())
        own = [(int(p["ts"]), int(p["wire"]), raw) for p, raw in source.frames() if raw and p["link"] == ETHERNET]
        begin = min((ts for ts, _, _ in own), default=0)
        frames += [(ts - begin, wire, raw) for ts, wire, raw in own]
    return sorted(frames)


def repeat(frames: list[Frame], target: Path, packets: int) -> int:
    """Write a nanosecond pcap of at least `packets` packets: the frames over and over, shifted; return their number."""
    span = frames[-1][0] + GAP
    written = 0
    with target.open("wb") as stream:
        stream.write(b"\x4d\x3c\xb2\xa1" + b"\x02\0\x04\0" + bytes(8) + (1 << 18).to_bytes(4, "little"))
        stream.write(ETHERNET.to_bytes(4, "little"))
        base = 1_700_000_000_000_000_000
        while written < packets:
            for ts, wire, raw in frames:
                seconds, nanos = divmod(base + ts, 1_000_000_000)
                stream.write(np.array([seconds, nanos, len(raw), wire], "<u4").tobytes() + raw)
            written += len(frames)
            base += span
    return written


def decoder_alone(path: Path) -> int:
    """Walk and decode the file; return the number of packets."""
    data = np.memmap(path, np.uint8, "r")
    state, packets = pcap.begin(data), np.zeros(CHUNK, PACKET)
    clock, fragments = np.zeros(decode.STATE_SIZE, np.int64), np.zeros(FRAGMENTS, FRAGMENT)
    faults, noted = np.zeros(20, FAULT), np.zeros(1, np.int64)
    total = 0
    while count := pcap.walk(data, state, packets, faults, noted):
        decode.decode(data, packets, count, clock, fragments, faults, noted)
        total += count
    return total


def to_rows(path: Path, payloads: bool) -> tuple[int, int]:
    """Read the file as the product does; return the number of packets and of flow rows."""
    source = CaptureSource.open(path, path.name, SensorSettings(), payloads=payloads)
    rows = sum(len(batch.tables.get(Kind.FLOW, ())) for batch in source.batches())
    return source.counters.read, rows


def by_scapy(path: Path, limit: int) -> int:
    """Read the first packets with scapy's RawPcapReader and parse each up to its transport."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import RawPcapReader

    total = 0
    for raw, _ in RawPcapReader(str(path)):
        packet = Ether(raw)
        if IP in packet and (TCP in packet or UDP in packet):
            _ = packet[IP].src, packet[IP].dst
        total += 1
        if total == limit:
            break
    return total


def best(work: Callable[[], int], rounds: int) -> tuple[float, float]:
    """Return the best (packets a second of processor time, packets a second) over some rounds."""
    rates = []
    for _ in range(rounds):
        spent, begin = time.process_time(), time.perf_counter()
        count = work()
        rates.append((count / (time.process_time() - spent), count / (time.perf_counter() - begin)))
    return max(rates)


def best_of_peer(run: Callable[[Path], Cost | None], one: Path, whole: Path, packets: int, rounds: int) -> float:
    """Return a peer's best packets a second of processor time; 0 where it isn't to be had."""
    start = run(one)
    if start is None:
        return 0.0
    costs = [cost for _ in range(rounds) if (cost := run(whole)) is not None]
    return max(packets / cost.beyond(start).processor for cost in costs)


def start_up(source: Path, cache: str | None) -> float:
    """Return the seconds that a new process needs from its start to the last row of a small capture."""
    program = (
        "import sys; from pathlib import Path; from sensors.packets.capture import CaptureSource;"
        "from sensors.settings import SensorSettings;"
        "list(CaptureSource.open(Path(sys.argv[1]), '', SensorSettings()).batches())"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent)} | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    return cost_of([sys.executable, "-c", program, str(source)], **environment).clock


def lines(captures: list[Path], packets: int, scapy: int, rounds: int) -> Iterator[str]:
    """Yield the figures as they become known."""
    yield f"machine: {machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    with tempfile.TemporaryDirectory() as folder:
        frames = mixed(captures)
        one, whole = Path(folder, "one.pcap"), Path(folder, "long.pcap")
        repeat(frames[:1], one, 1)
        yield f"first start (compiles everything): {start_up(one, f'{folder}/cache'):.2f} s"
        yield f"next start (code from the cache):  {min(start_up(one, f'{folder}/cache') for _ in range(3)):.2f} s"
        count = repeat(frames, whole, packets)
        rows = to_rows(one, True) and to_rows(whole, False)[1]
        yield f"mix: {len(captures)} captures, {count} packets, {whole.stat().st_size} bytes, {rows} flow rows"
        decoder, _ = best(lambda: decoder_alone(whole), rounds)
        yield f"walk + decode:                  {decoder:12,.0f} packets/s"
        flows, clock = best(lambda: to_rows(whole, False)[0], rounds)
        yield f"pcap to flow records:           {flows:12,.0f} packets/s ({clock:,.0f} by the clock)"
        everything, clock = best(lambda: to_rows(whole, True)[0], rounds)
        yield f"pcap to all observations:       {everything:12,.0f} packets/s ({clock:,.0f} by the clock)"
        for name, run in peers(Path(folder)).items():
            rate = best_of_peer(run, one, whole, count, max(1, rounds - 1))
            if rate:
                yield f"{name + ':':31} {rate:12,.0f} packets/s; flow records are {flows / rate:.1f} times that"
        if scapy:
            rate, _ = best(lambda: by_scapy(whole, scapy), 1)
            yield f"{'scapy, parse only:':31} {rate:12,.0f} packets/s; flow records are {flows / rate:,.0f} times that"


def peers(folder: Path) -> dict[str, Callable[[Path], Cost | None]]:
    """Return the meters that are compared with, by name."""
    found: dict[str, Callable[[Path], Cost | None]] = {
        "nfstream, no dissection": lambda path: nfstream(path, 0),
        "nfstream, nDPI on 20 packets": lambda path: nfstream(path, 20),
    }
    with contextlib.suppress(OSError):  # it isn't installed
        found[f"Suricata {suricata_version()}, no rules"] = lambda path: suricata(path, folder)
    return found


def machine() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="*")
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--scapy", type=int, default=20_000, help="packets for scapy; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    captures = arguments.captures or sorted(EXAMPLES.glob("*.pcap"))
    for line in lines(captures, arguments.packets, arguments.scapy, arguments.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
