"""Verdicts as JSON Lines on standard output."""

import json
import sys
from collections.abc import Generator

from ostiary.engine import verdict_row
from ostiary.running import Found, RunResult


def print_rows(batches: Generator[Found, None, RunResult]) -> RunResult:
    """Print a row an outcome as they come, and return the run's result."""
    while True:
        try:
            found = next(batches)
        except StopIteration as end:
            result: RunResult = end.value
            return result
        rows = (
            json.dumps(verdict_row(outcome, found.formats), separators=(",", ":"), ensure_ascii=False)
            for outcome in found.outcomes
        )
        sys.stdout.write("".join(f"{row}\n" for row in rows))
        sys.stdout.flush()
