"""Tables and colours for people; JSON for programs."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

LEVEL_STYLES = {"low": "dim", "guarded": "cyan", "elevated": "yellow", "high": "red", "critical": "bold red"}
VERDICT_STYLES = {"allow": "green", "throttle": "yellow", "step_up": "yellow", "deny": "red", "isolate": "bold red"}


WIDTH_OF_FILES = 140


def console() -> Console:
    """Return the console that prints on standard output; nothing in a name is taken for markup."""
    made = Console(highlight=False, markup=False)
    if not made.is_terminal:
        made.width = WIDTH_OF_FILES
    return made


NARROW = frozenset({"risk", "level", "decided", "at (UTC)", "technique", "lease", "state", "share"})
NUMBERS = frozenset(
    {"risk", "read", "observations", "parsed", "malformed", "ignored", "dropped", "late", "lines/s", "skew"}
)


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table in the house style."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column, overflow="fold", no_wrap=column in NARROW, justify="right" if column in NUMBERS else "left"
        )
    return made


def place(source: str, seq: int) -> str:
    """Return where an observation stands, short: the file's own name and the packet or line."""
    return f"{source.rsplit('/', 1)[-1]}:{seq}" if source else "at a gateway"


def instant(ts_ns: int) -> str:
    """Return an event time in UTC, to the second."""
    try:
        return datetime.fromtimestamp(ts_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{ts_ns} ns"


def bar(share: float, width: int = 20) -> str:
    """Return a bar for a share of 0..1."""
    return "█" * max(1, round(share * width)) if share > 0 else ""


def joined(reasons: Sequence[str], limit: int = 3) -> str:
    """Return the first few reasons, and how many more there are."""
    more = len(reasons) - limit
    return "; ".join(reasons[:limit]) + (f"; and {more} more" if more > 0 else "")
