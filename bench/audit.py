"""Measure the audit log: appends a second by group size, and verification, beside a hash chain of JSON lines.

    python -m bench.audit [--entries 100000]

The floor is what a simple tamper-evident log costs in Python: `json.dumps`, a running SHA-256, one flush a group. It
has no signature, no proofs for single entries and nothing that an outsider's tool could check.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from compliance.audit import AuditLog, verify
from compliance.audit.leaves import encode
from compliance.values import AuditEntry


def entries(count: int) -> list[AuditEntry]:
    return [
        AuditEntry(
            kind="decision",
            who="engine",
            what="deny",
            why=f"{number % 90} failed logins in 60 s from one source",
            ts=1_732_489_201_000_000_000 + number,
            subject="ip-abcdefghijklmnopqrst",
            purpose="network and information security",
            legal_basis="GDPR Art. 6(1)(f)",
            facts={"policy": "a" * 64, "model": "b" * 64, "input": "c" * 64, "risk": number % 10_000 / 10_000},
        )
        for number in range(count)
    ]


def groups(items: Sequence[AuditEntry], size: int) -> Iterator[Sequence[AuditEntry]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def append(directory: Path, items: Sequence[AuditEntry], size: int) -> float:
    start = time.perf_counter()
    with AuditLog.open(directory, "example.test/bench") as log:
        for group in groups(items, size):
            log.append(group)
    return time.perf_counter() - start


def chain(path: Path, items: Sequence[AuditEntry], size: int) -> float:
    start, state = time.perf_counter(), b""
    with path.open("wb") as file:
        for group in groups(items, size):
            for entry in group:
                line = json.dumps(asdict(entry), sort_keys=True).encode()
                state = hashlib.sha256(state + line).digest()
                file.write(line + b" " + state.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - start


def check_chain(path: Path) -> float:
    start, state = time.perf_counter(), b""
    for line in path.read_bytes().splitlines():
        state = hashlib.sha256(state + line[:-65]).digest()
        assert state.hex().encode() == line[-64:]
    return time.perf_counter() - start


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    count = parser.parse_args().entries
    items = entries(count)
    work = Path(tempfile.mkdtemp(prefix="ostiary-bench-"))
    print(machine())
    print(f"{len(encode(items[0]))} bytes a leaf; every append is flushed to disk before it returns\n")
    print(f"{'entries a group':>15} {'audit log /s':>14} {'hash chain /s':>14}")
    try:
        for size, share in ((1, 200), (10, 20), (100, 4), (1_000, 1), (10_000, 1)):
            some = items[: max(count // share, size)]
            ours, floor = append(work / str(size), some, size), chain(work / f"{size}.jsonl", some, size)
            print(f"{size:>15,} {len(some) / ours:>14,.0f} {len(some) / floor:>14,.0f}")
        start = time.perf_counter()
        found = verify(work / "10000")
        assert found.ok, found.problems
        print(f"\nverify {found.size:,} entries: {time.perf_counter() - start:.2f} s", end="")
        print(f" (hash chain: {check_chain(work / '10000.jsonl'):.2f} s)")
        size = sum(path.stat().st_size for path in (work / "10000").rglob("*") if path.is_file())
        print(f"on disk: {size / 1e6:.1f} MB (hash chain: {(work / '10000.jsonl').stat().st_size / 1e6:.1f} MB)")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
