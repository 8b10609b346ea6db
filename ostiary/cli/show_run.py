"""What a person sees at the end of a run: who is risky and why, what was decided, what would have been done."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from compliance.values import Verification
from ostiary.cli.table import LEVEL_STYLES, VERDICT_STYLES, console, instant, joined, table
from ostiary.judge import SourceReport
from ostiary.running import RunResult
from ostiary.summary import Line
from response.values import Action, ActionState

ENTITIES_SHOWN = 20


def show(result: RunResult, verification: Verification, report: Path, state: str | None) -> None:
    """Print the end of a run; `state` is the directory that the user named, if any."""
    out = console()
    _sources(out, result.sources)
    lines = result.summary.lines()
    _entities(out, lines)
    _decisions(out, result)
    _actions(out, lines)
    _places(out, result, verification, report)
    _next(out, lines, state)


def _sources(out: Console, sources: Sequence[SourceReport]) -> None:
    shown = table(
        "source", "format", "read", "observations", "malformed", "ignored", "dropped", "late", title="What was read"
    )
    for source in sources:
        counters = source.counters
        numbers = (counters.read, counters.rows, counters.malformed, counters.ignored, counters.dropped, counters.late)
        shown.add_row(source.name.rsplit("/", 1)[-1], source.format, *(f"{number:,}" for number in numbers))
    out.print(shown)
    for source in sources:
        for fault in source.counters.faults[:3]:
            out.print(f"  {source.name}, byte {fault.offset:,}: {fault.text} [{fault.code}]", style="dim")


def _entities(out: Console, lines: Sequence[Line]) -> None:
    out.print()
    if not lines:
        out.print("No entity gave a reason to trust it less.")
        return
    shown = table("risk", "level", "entity", "decided", "because", "why", title="Entities by risk, each at its worst")
    for line in lines[:ENTITIES_SHOWN]:
        assessment, decision = line.assessment, line.decision
        shown.add_row(
            f"{assessment.risk:.2f}",
            Text(assessment.level.value, LEVEL_STYLES[assessment.level.value]),
            line.entity.id,
            Text(decision.verdict.value, VERDICT_STYLES[decision.verdict.value]),
            decision.reasons[0].code if decision.reasons else "",
            joined([words.say() for words in assessment.texts], 2),
        )
    out.print(shown)
    if len(lines) > ENTITIES_SHOWN:
        out.print(f"and {len(lines) - ENTITIES_SHOWN} more: `ostiary entities` lists all", style="dim")


def _decisions(out: Console, result: RunResult) -> None:
    summary = result.summary
    verdicts = ", ".join(f"{number:,} {name}" for name, number in sorted(summary.verdicts.items()))
    out.print()
    out.print(
        f"{sum(summary.verdicts.values()):,} decisions on evidence ({verdicts or 'none'}); "
        f"all other entities are allowed. {result.seconds:.1f} s."
    )


def _actions(out: Console, lines: Sequence[Line]) -> None:
    actions = [(line, line.action) for line in lines if line.action is not None]
    out.print()
    if not actions:
        out.print("No action would have been taken.")
        return
    lease = f"{actions[0][1].lease_s:.0f} s each, by {actions[0][1].actuator}"
    out.print(f"Actions that enforcement would have taken, {lease} (nothing was done: observe mode)", style="bold")
    for line, action in actions[:ENTITIES_SHOWN]:
        out.print(f"  {instant(action.ts)}  {_action(line, action)}", soft_wrap=True)
    if len(actions) > ENTITIES_SHOWN:
        out.print(f"  and {len(actions) - ENTITIES_SHOWN} more: `ostiary actions` lists all", style="dim")


def _action(line: Line, action: Action) -> str:
    if action.state is ActionState.REFUSED:
        return f"not {line.entity.id}: {action.reason}"
    return f"cut off {line.entity.id}: {action.impact}"


def _places(out: Console, result: RunResult, verification: Verification, report: Path) -> None:
    out.print()
    if verification.ok:
        out.print(f"Audit log  {result.state / 'audit'}: {verification.size:,} entries, verified", style="green")
    else:
        out.print(f"Audit log  {result.state / 'audit'} DOES NOT VERIFY: see `ostiary audit verify`", style="bold red")
    out.print(f"Report     {report}")
    for name, reason in result.failed:
        out.print(f"Not judged {name}: {reason}", style="red")


def _next(out: Console, lines: Sequence[Line], state: str | None) -> None:
    program, chosen = program_name(), f" --state {state}" if state else ""
    example = lines[0].entity.id if lines else "203.0.113.9"
    steps = {
        f"explain {example}{chosen}": "why it carries its risk",
        f"decisions --verdict deny{chosen}": "what was decided, and on what evidence",
        f"audit verify{chosen}": "check the log; a tool that isn't ours can, too",
        "up --help": "run it as a service beside a gateway",
    }
    width = max(map(len, steps))
    out.print()
    out.print("What to type next", style="bold")
    for step, words in steps.items():
        out.print(f"  {program} {step:<{width}}   {words}", soft_wrap=True)


def program_name() -> str:
    """Return how to call us again: `ostiary` where that is on PATH, else the way we were called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{sys.executable} -m ostiary"
    found = shutil.which("ostiary")
    return "ostiary" if found and Path(found).resolve() == called.resolve() else str(called)
