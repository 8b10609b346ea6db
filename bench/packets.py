"""Measure the packet sensor: the walk and decoder alone, the whole way from pcap to flow rows, and scapy beside it.

    python -m bench.packets [CAPTURE] [--packets 500000] [--scapy 20000] [--rounds 5]

CAPTURE is repeated, with its times shifted, until the wanted number of packets is reached. Start-up (imports and
compiled code read back from the cache, or compiled where there is none) is timed apart, in processes of their own.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sensors.packets import pcap
from sensors.packets.capture import CaptureSource
from sensors.packets.columns import FAULT, PACKET
from sensors.packets.headers import decode
from sensors.packets.headers.fragments import FRAGMENT, FRAGMENTS
from sensors.settings import SensorSettings
from sensors.values import Kind

CHUNK = 1 << 16
GAP = 1_000_000_000


def repeat(source: Path, target: Path, packets: int) -> int:
    """Write a nanosecond pcap of at least `packets` packets: the source over and over, shifted; return their number."""
    records, span = _records(source)
    link = int(records[0][0]["link"])
    written = 0
    with target.open("wb") as stream:
        stream.write(b"\x4d\x3c\xb2\xa1" + b"\x02\0\x04\0" + bytes(8) + (1 << 18).to_bytes(4, "little"))
        stream.write(link.to_bytes(4, "little"))
        shift = 0
        while written < packets:
            for packet, frame in records:
                seconds, nanos = divmod(int(packet["ts"]) + shift, 1_000_000_000)
                head = np.array([seconds, nanos, packet["captured"], packet["wire"]], "<u4")
                stream.write(head.tobytes() + frame)
            written += len(records)
            shift += span
    return written


def _records(source: Path) -> tuple[list[tuple[np.void, bytes]], int]:
    capture = CaptureSource.open(source, source.name, SensorSettings())
    records = [(packet, frame) for packet, frame in capture.frames() if len(frame)]
    times = [int(packet["ts"]) for packet, _ in records]
    return records, max(times) - min(times) + GAP


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


def to_rows(path: Path) -> int:
    """Read the file as the product does; return the number of packets."""
    source = CaptureSource.open(path, path.name, SensorSettings())
    for _ in source.batches():
        pass
    return source.counters.read


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
    """Return (best, median) packets a second over some rounds."""
    rates = []
    for _ in range(rounds):
        begin = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - begin))
    return max(rates), sorted(rates)[len(rates) // 2]


def start_up(source: Path, cache: str | None) -> float:
    """Return the seconds that a new process needs from its start to the last row of a small capture."""
    program = (
        "import sys; from pathlib import Path; from sensors.packets.capture import CaptureSource;"
        "from sensors.settings import SensorSettings;"
        "list(CaptureSource.open(Path(sys.argv[1]), '', SensorSettings()).batches())"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent)} | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, str(source)], check=True, env=environment)
    return time.perf_counter() - begin


def lines(source: Path, packets: int, scapy: int, rounds: int) -> Iterator[str]:
    """Yield the figures as they become known."""
    yield f"machine: {machine()}, Python {platform.python_version()}"
    with tempfile.TemporaryDirectory() as folder:
        cache = f"{folder}/cache"
        yield f"first start (compiles everything): {start_up(source, cache):.2f} s"
        yield f"next start (code from the cache):  {min(start_up(source, cache) for _ in range(3)):.2f} s"
        path = Path(folder, "long.pcap")
        count = repeat(source, path, packets)
        rows = sum(len(b.tables.get(Kind.FLOW, ())) for b in CaptureSource.open(path, "", SensorSettings()).batches())
        yield f"capture: {source.name} repeated to {count} packets, {path.stat().st_size} bytes, {rows} flow rows"
        decoder = best(lambda: decoder_alone(path), rounds)
        whole = best(lambda: to_rows(path), rounds)
        yield f"walk + decode:        {decoder[0]:12,.0f} packets/s (median {decoder[1]:,.0f}), one core"
        yield f"pcap to rows:         {whole[0]:12,.0f} packets/s (median {whole[1]:,.0f}), one core"
        if scapy:
            peer = best(lambda: by_scapy(path, scapy), 1)[0]
            yield f"scapy, parse only:    {peer:12,.0f} packets/s; pcap to rows is {whole[0] / peer:,.0f} times that"


def machine() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path, nargs="?", default=Path("examples/captures/edge.pcap"))
    parser.add_argument("--packets", type=int, default=500_000)
    parser.add_argument("--scapy", type=int, default=20_000, help="packets for scapy; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for line in lines(arguments.capture, arguments.packets, arguments.scapy, arguments.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
