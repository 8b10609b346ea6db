"""The report of a run, and the word on whether the audit log verifies."""

from pathlib import Path

from compliance.audit import verify
from compliance.values import Verification
from ostiary.state import AUDIT


def verified(state: Path) -> Verification:
    """Verify the audit log of a state directory with the key beside it."""
    return verify(state / AUDIT)


def write_report(settings, result):  # type: ignore
    return "-"
