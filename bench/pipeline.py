"""Measure the whole way from packets to recorded decisions on one core, start-up apart.

    python -m bench.pipeline [CAPTURE] [--packets 500000] [--rounds 3]

CAPTURE is repeated, with its times shifted, until the wanted number of packets is reached. The peer beside it is scapy,
which only reads and parses (`bench/packets.py`).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.packets import by_scapy, machine, mixed, repeat
from ostiary.running import RunRequest, run
from ostiary.settings import Settings


def judge(capture: Path, state: Path) -> tuple[float, int, int]:
    """Judge a capture as `ostiary run` does; return seconds, packets and outcomes."""
    batches = run(RunRequest([str(capture)], "", "", False, 0), Settings(state_dir=str(state)))
    outcomes = 0
    started = time.perf_counter()
    while True:
        try:
            outcomes += len(next(batches).outcomes)
        except StopIteration as end:
            seconds = time.perf_counter() - started
            return seconds, sum(source.counters.read for source in end.value.sources), outcomes


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path, nargs="?", default=Path("examples/captures/edge.pcap"))
    parser.add_argument("--packets", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"{machine()}, Python {sys.version.split()[0]}, one core")
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.pcap"
        repeat(mixed([given.capture]), large, given.packets)
        started = time.perf_counter()
        judge(given.capture, Path(folder) / "warm")
        print(f"start-up, imports and the capture once: {time.perf_counter() - started:.1f} s")
        rates = []
        for number in range(given.rounds):
            seconds, packets, outcomes = judge(large, Path(folder) / f"state-{number}")
            rates.append(packets / seconds)
            print(
                f"{packets:,} packets, {outcomes:,} decisions on evidence, {seconds:.2f} s: {rates[-1]:,.0f} packets/s"
            )
        started = time.perf_counter()
        peer = by_scapy(large, 20_000) / (time.perf_counter() - started)
        median = sorted(rates)[len(rates) // 2]
        print(
            f"median {median:,.0f} packets/s; scapy, reading and parsing only: {peer:,.0f}; ratio {median / peer:.1f}"
        )


if __name__ == "__main__":
    main()
