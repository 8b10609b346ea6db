"""What formats have in common when they look at the beginning of a file."""

from collections.abc import Callable

_LINES = 40


def head_lines(head: bytes) -> list[bytes]:
    """Return the first lines that aren't empty; the last one of a longer file is left out, for it may be cut."""
    lines = head.split(b"\n")
    if len(lines) > 1:
        lines.pop()
    return [line.rstrip(b"\r") for line in lines if line.strip()][:_LINES]


def share(head: bytes, fits: Callable[[bytes], bool]) -> float:
    """Return which share (0..1) of the first lines fits."""
    lines = head_lines(head)
    return sum(map(fits, lines)) / len(lines) if lines else 0.0
