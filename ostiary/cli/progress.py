"""A run with a progress bar on standard error, where that is a terminal or not."""

from collections.abc import Generator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ostiary.running import Found, RunRequest, RunResult, run
from ostiary.settings import Settings


def with_progress(request: RunRequest, settings: Settings) -> RunResult:
    """Judge to the end behind a progress bar, and return the result."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting; the first run compiles for some seconds", total=None, note="")

        def moved(done: int, total: int, unit: str) -> None:
            note = f"{done / 1e6:.1f} MB" if unit == "bytes" else f"{done} {unit}"
            bar.update(task, description="Judging", completed=done, total=total or None, note=note)

        return drain(run(request, settings, moved))


def drain(batches: Generator[Found, None, RunResult]) -> RunResult:
    """Run to the end, and return the result."""
    while True:
        try:
            next(batches)
        except StopIteration as end:
            result: RunResult = end.value
            return result
