"""Recorded decisions made again, for `ostiary decisions --again`."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from ostiary.cli.names import reading
from ostiary.errors import NotFoundError
from ostiary.history import Again, Repeated, repeat, tally
from ostiary.settings import Settings
from ostiary.store import DecisionRecord, Reader

if TYPE_CHECKING:
    from policy.values import Decision

SHOWN = 20
"""Decisions that differ and are named."""


def show_again(settings: Settings, which: str, purpose: str, as_json: bool) -> int:
    """Make one decision, or all, again; return the exit code: 1 where one came out otherwise."""
    from ostiary.deciding import policy_engine
    from ostiary.state import STORE, existing
    from policy.decide import Decider

    if not purpose.strip():
        raise click.UsageError("--again reads plain names: it needs a purpose, e.g. --purpose 'incident 12'")
    decider = Decider(policy_engine(settings))
    counts: Counter[Again] = Counter()
    differing: list[str] = []
    last: Repeated | None = None
    with ExitStack() as stack, Reader.open(existing(settings) / STORE) as store:
        one = store.decision(which) if which != "all" else None
        if which != "all" and one is None:
            raise NotFoundError(f"there is no decision {which} (`ostiary decisions` lists them)")
        named = [one.pseudonym] if one else []
        vault = stack.enter_context(reading(settings, "made decisions again", which, purpose, named))
        for record in _wanted(store, which):
            last = repeat(vault, decider, record, store.sealed(record.id))
            counts[last.outcome] += 1
            if last.outcome in (Again.DIFFERENT, Again.CHANGED):
                differing.append(record.id)
    _show(settings, which, counts, differing, last, as_json)
    return 1 if differing else 0


def _wanted(store: Reader, which: str) -> Iterator[DecisionRecord]:
    if which != "all":
        record = store.decision(which)
        if record is not None:
            yield record
        return
    after = ""
    while True:
        page = store.decisions(limit=1000, after=after)
        yield from page.items
        after = page.next
        if not after:
            return


def _show(
    settings: Settings, which: str, counts: Counter[Again], differing: list[str], last: Repeated | None, as_json: bool
) -> None:
    decision = last.decision if last and which != "all" else None
    record = _masked(settings, decision) if decision else {}
    if as_json:
        row = {"outcomes": {outcome.value: count for outcome, count in counts.items()}, "different": differing}
        click.echo(json.dumps(row | ({"decision": record} if record else {})))
        return
    click.echo(f"made again: {tally(counts)}")
    for decision_id in differing[:SHOWN]:
        click.echo(f"  {decision_id} is not what it was", err=True)
    if len(differing) > SHOWN:
        click.echo(f"  and {len(differing) - SHOWN} more", err=True)
    if decision:
        click.echo(f"{decision.verdict.value} of {record['entity']['id']}, by policy {decision.policy_revision[:8]}")
        click.echo(json.dumps(record["input"], ensure_ascii=False, indent=2))


def _masked(settings: Settings, decision: "Decision") -> dict[str, Any]:
    """Return a decision's record without what the masks of the bundle take away."""
    from ostiary.showing import Showing
    from policy.decide import decision_record

    record = decision_record(decision)
    shown = Showing(lambda: settings).masked(record["input"], record)
    document = shown.get("input", {})
    who = {"id": document.get("subject", {}).get("id", "(masked)")}
    return {
        **record,
        "input": document,
        "reasons": shown.get("result", {}).get("reasons", []),
        "entity": record["entity"] | who,
    }
