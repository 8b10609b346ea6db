"""Audit logs in temporary directories."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compliance.audit import AuditLog
from compliance.values import AuditEntry

ORIGIN = "example.test/audit"


def make_entry(number: int) -> AuditEntry:
    return AuditEntry(
        kind="decision",
        who="engine",
        what="deny",
        why="84 failed logins in 60 s from one source",
        ts=1_732_489_201_000_000_000 + number,
        subject="ip-abcdefghijklmnopqrst",
        purpose="network and information security",
        legal_basis="GDPR Art. 6(1)(f)",
        facts={"number": number, "risk": 0.93, "reasons": ["auth.bruteforce"]},
    )


@pytest.fixture
def entry() -> Callable[[int], AuditEntry]:
    """Make the entry with a number."""
    return make_entry


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a log may be made."""
    return tmp_path / "audit"


@pytest.fixture
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a log with one append for each argument, of that many entries, and return its directory."""

    def made(*counts: int) -> Path:
        directory = tmp_path_factory.mktemp("log") / "audit"
        with AuditLog.open(directory, ORIGIN) as log:
            for count in counts:
                log.append([make_entry(log.size + i) for i in range(count)])
        return directory

    return made
