"""A pair of interfaces, each in a network namespace that the test makes itself, and what is captured there."""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sensors.values import Kind

NEAR_SPACE, FAR_SPACE = (f"ostiary-test-{os.getpid()}-{side}" for side in ("near", "far"))
NEAR, FAR = "192.0.2.1", "192.0.2.2"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)


def enter(path):
    """Move this thread, and the processes that it starts, into a network namespace."""
    with Path(path).open() as stream:
        assert ctypes.CDLL(None).setns(stream.fileno(), 0x40000000) == 0


@pytest.fixture
def veth():
    """The near one of a pair of interfaces; each is in a namespace of its own, and the test in that of the near one."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        run("ip", "netns", "add", NEAR_SPACE)
        run("ip", "netns", "add", FAR_SPACE)
        run("ip", "-n", NEAR_SPACE, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", FAR_SPACE)
        for space, link, address in ((NEAR_SPACE, "near", NEAR), (FAR_SPACE, "far", FAR)):
            run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", link)
            run("ip", "-n", space, "link", "set", link, "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
        enter(f"/run/netns/{NEAR_SPACE}")
        yield "near"
    finally:
        assert ctypes.CDLL(None).setns(home, 0x40000000) == 0
        os.close(home)
        for space in (NEAR_SPACE, FAR_SPACE):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


@pytest.fixture
def far(veth):
    """Return a function that runs a command at the far end."""
    return lambda *command: run("ip", "netns", "exec", FAR_SPACE, *command)


@pytest.fixture
def send(far):
    """Return a function: sends `count` UDP packets to port 9999 of the near end from each of some source ports."""

    def sent(count, ports=(7000,), size=100):
        program = (
            "import socket\n"
            f"for port in {list(ports)!r}:\n"
            "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
            "        s.bind(('', port))\n"
            f"        for _ in range({count}): s.sendto(b'x' * {size}, ('{NEAR}', 9999))\n"
        )
        far(sys.executable, "-c", program)

    return sent


@pytest.fixture
def collect():
    """Return a function: source, seconds, what to do after its first batch -> flow rows and the number of batches."""

    def collected(source, seconds, act=lambda: None):
        end, acted, rows, count = time.monotonic() + seconds, False, [], 0
        for batch in source.batches(lambda: time.monotonic() > end):
            if not acted:
                acted = True
                act()
            rows += list(batch.tables.get(Kind.FLOW, ()))
            count += 1
        return rows, count

    return collected
