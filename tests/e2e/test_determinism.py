"""The same input twice gives byte-equal decisions, in two processes with different hash seeds."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Ostiary = Callable[..., "subprocess.CompletedProcess[str]"]
EXAMPLES = Path(__file__).parents[2] / "examples"


def examples() -> list[str]:
    found = [*sorted((EXAMPLES / "captures").glob("*.pcap")), *sorted((EXAMPLES / "logs").glob("*.log"))]
    return [str(path) for path in found]


@pytest.mark.slow
def test_decisions_are_byte_equal_over_processes_and_hash_seeds(ostiary: Ostiary, tmp_path: Path) -> None:
    first, second = (
        ostiary(
            "run", "--json", *examples(),
            state=tmp_path / f"state-{seed}", environment={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "4242")
    )  # fmt: skip
    assert len(first.splitlines()) > 100
    assert first == second
