"""Measure the memory of the packet sensor under more flows and sources than it keeps.

    python -m bench.memory [--flows 10000000] [--sources 1000000] [--rate 100000]

A capture of so many connection attempts, each a flow of its own, from so many sources in turn, `rate` a second of event
time, is read as `ostiary run` reads it, in a process of its own. Told are the private memory (RssAnon, which the mapped
file isn't part of) at each tenth, its peak, and what became of the flows: each one is told or counted as evicted.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.packets import machine
from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings
from sensors.values import FlowEvent, Kind

FRAME = np.dtype(
    [
        ("seconds", "<u4"), ("nanos", "<u4"), ("captured", "<u4"), ("wire", "<u4"),
        ("ethernet", "S12"), ("type", ">u2"), ("version", "u1"), ("tos", "u1"), ("length", ">u2"), ("id", ">u4"),
        ("ttl", "u1"), ("proto", "u1"), ("checksum", ">u2"), ("source", ">u4"), ("target", ">u4"),
        ("from", ">u2"), ("to", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"), ("flags", "u1"),
        ("window", ">u2"), ("rest", ">u4"),
    ]
)  # fmt: skip
HEAD = b"\x4d\x3c\xb2\xa1" + b"\x02\0\x04\0" + bytes(8) + (1 << 18).to_bytes(4, "little") + b"\x01\0\0\0"
PART = 1_000_000
BEGIN = 1_700_000_000


def write(path: Path, flows: int, sources: int, rate: int) -> None:
    """Write the capture: one SYN a flow; no two have the same addresses and ports."""
    with path.open("wb") as stream:
        stream.write(HEAD)
        for first in range(0, flows, PART):
            number = np.arange(first, min(first + PART, flows), dtype=np.int64)
            frames = np.zeros(number.size, FRAME)
            frames["seconds"], frames["nanos"] = BEGIN + number // rate, number % rate * (1_000_000_000 // rate)
            frames["captured"] = frames["wire"] = FRAME.itemsize - 16
            frames["type"], frames["version"], frames["length"] = 0x0800, 0x45, 40
            frames["ttl"], frames["proto"], frames["offset"], frames["flags"] = 64, 6, 0x50, 2
            frames["source"] = 0x0B000000 + number % sources
            frames["target"] = 0xC6336400 + number // sources % 256
            frames["from"], frames["to"] = 1024 + number // sources // 256 % 60_000, 443
            frames.tofile(stream)


def private_mib() -> float:
    """Return this process's private memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise OSError("no RssAnon in /proc/self/status")


def read(path: Path) -> None:
    """Read the capture in this process and print the figures."""
    source = CaptureSource.open(path, path.name, SensorSettings())
    told = tenth = 0
    peak = private_mib()
    steps: list[str] = [f"{peak:.0f}"]
    for batch in source.batches():
        rows = batch.tables.get(Kind.FLOW)
        told += 0 if rows is None else int((rows["event"] == FlowEvent.END).sum())
        peak = max(peak, private_mib())
        if (now := source.counters.bytes * 10 // source.size) > tenth:
            tenth = now
            steps.append(f"{private_mib():.0f}")
    print(f"private memory in MiB, at the start and at each tenth: {' '.join(steps)}; peak {peak:.0f}")
    print(f"packets {source.counters.read:,}, flows told {told:,}, counters {source.counters.as_dict()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=10_000_000)
    parser.add_argument("--sources", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=100_000)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(given.read)
        return
    print(f"{machine()}; {given.flows:,} flows of {given.sources:,} sources, {given.rate:,} a second", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flows.pcap")
        write(path, given.flows, given.sources, given.rate)
        subprocess.run([sys.executable, "-m", "bench.memory", "--read", str(path)], check=True)


if __name__ == "__main__":
    main()
