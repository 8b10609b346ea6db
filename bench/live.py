"""Measure live capture between two network namespaces, with tcpreplay at several speeds up to its top. Needs root.

    python -m bench.live [CAPTURE ...] [--packets 3000000] [--speeds 500000 0] [--processes 1]

The captures are mixed as in `bench.packets` and sent over a pair of virtual interfaces. The capturing process is bound
to one core, the sender to another where there is one. What was sent must be what was read and what the kernel counted
as dropped: if not, this ends with an error. Speed 0 is tcpreplay's top.
"""

import argparse
import ctypes
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.packets import EXAMPLES, machine, mixed, repeat
from sensors.packets.workers import LiveCapture, open_live
from sensors.settings import SensorSettings

NEAR, FAR = f"bench-{os.getpid()}-near", f"bench-{os.getpid()}-far"
UNIT = 200_000
"""Packets in the file that tcpreplay keeps in memory and sends over and over."""


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_interfaces() -> None:
    """Make the pair, silent by itself, and move this thread to the near namespace."""
    for space in (NEAR, FAR):
        run("ip", "netns", "add", space)
    run("ip", "-n", NEAR, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", FAR)
    for space, link in ((NEAR, "near"), (FAR, "far")):
        run("ip", "-n", space, "link", "set", link, "mtu", "65535", "arp", "off", "addrgenmode", "none", "up")
    with Path(f"/run/netns/{NEAR}").open() as stream:
        if ctypes.CDLL(None).setns(stream.fileno(), 0x40000000):
            raise OSError("setns")


def send(path: Path, loops: int, speed: int) -> int:
    """Send the file so often; return how many packets went out."""
    pace = [f"--pps={speed}"] if speed else ["--topspeed"]
    core = str(max(os.sched_getaffinity(0)))
    said = run(
        "ip", "netns", "exec", FAR, "taskset", "-c", core, "tcpreplay", "-i", "far", "--preload-pcap", *pace,
        f"--loop={loops}", str(path),
    )  # fmt: skip
    return int(re.findall(r"Successful packets:\s+(\d+)", said)[-1])


def capture(sources: list[LiveCapture], act: Callable[[], int]) -> tuple[int, float]:
    """Run the sources in threads while `act` sends; return what it says and the seconds that it took."""
    stop, ready = threading.Event(), threading.Barrier(len(sources) + 1)

    def read(source: LiveCapture) -> None:
        begun = False
        for _ in source.batches(stop.is_set):
            if not begun:
                begun = True
                ready.wait()

    threads = [threading.Thread(target=read, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    ready.wait()
    begin = time.perf_counter()
    sent = act()
    took = time.perf_counter() - begin
    seen = -1
    while seen != (seen := sum(source.counters.read for source in sources)):
        time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    return sent, took


def measure(path: Path, loops: int, speed: int, processes: int) -> str:
    settings = SensorSettings(capture_processes=processes)
    sources = open_live("near", settings)
    spent = time.process_time()
    sent, took = capture(sources, lambda: send(path, loops, speed))
    spent = time.process_time() - spent
    read = sum(source.counters.read for source in sources)
    dropped = sum(source.counters.kernel_dropped for source in sources)
    if read + dropped != sent:
        raise SystemExit(f"{sent} sent, but {read} read and {dropped} dropped")
    named = f"{speed:,} a second wanted" if speed else "top speed"
    return (
        f"{named}: {sent:,} sent in {took:.1f} s ({sent / took:,.0f}/s), {read:,} read, {dropped:,} dropped by the "
        f"kernel ({dropped / sent:.2%}); {read / spent:,.0f} packets a second of this process's time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="*")
    parser.add_argument("--packets", type=int, default=3_000_000)
    parser.add_argument("--speeds", type=int, nargs="+", default=[200_000, 350_000, 500_000, 0])
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    cores = os.sched_getaffinity(0)
    print(f"{machine()}, {len(cores)} cores, {sys.platform}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mix.pcap")
        count = repeat(mixed(given.captures or sorted(EXAMPLES.glob("*.pcap"))), path, UNIT)
        try:
            make_interfaces()
            os.sched_setaffinity(0, {min(cores)} if given.processes == 1 else cores)
            for speed in given.speeds:
                print(measure(path, max(1, given.packets // count), speed, given.processes), flush=True)
        finally:
            for space in (NEAR, FAR):
                subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


if __name__ == "__main__":
    main()
