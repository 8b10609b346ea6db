"""Privileges that were given up are gone, for good and for children."""

import os
import subprocess
import sys

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
CHILD = (
    "import subprocess\n"
    "print(subprocess.run(['grep', 'CapEff', '/proc/self/status'], capture_output=True, text=True).stdout)"
)


def after(call: str) -> list[str]:
    code = f"from ostiary.privileges import *\n{call}\nprint(capabilities())\n{CHILD}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.split() or [done.stderr.splitlines()[-1]]


@pytest.mark.root
@needs_root
def test_nothing_is_left() -> None:
    assert after("keep_only()") == ["0", "CapEff:", "0000000000000000"]


@pytest.mark.root
@needs_root
def test_only_what_is_needed_is_left() -> None:
    assert after("keep_only({CAP_NET_ADMIN})") == [str(1 << 12), "CapEff:", f"{1 << 12:016x}"]


@pytest.mark.root
@needs_root
def test_what_is_gone_does_not_come_back() -> None:
    assert "PrivilegesError" in after("keep_only(); keep_only({CAP_NET_ADMIN})")[0]
