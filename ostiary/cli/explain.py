"""`ostiary explain`: say why an entity carries its risk."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ostiary.cli.names import candidates, not_found, reveal, reveal_option, spoken
from ostiary.cli.options import common, read_settings
from ostiary.settings import Settings
from ostiary.store.reader import Reader
from ostiary.store.records import DecisionRecord, DeepLookRecord, EntityRecord

if TYPE_CHECKING:
    from rich.console import Console

EVIDENCE_SHOWN = 12
PSEUDONYM = re.compile(r"\b[a-z]+-[a-z2-7]{20}\b")


@click.command()
@click.argument("entity")
@reveal_option
@common
def command(entity: str, purpose: str | None, config: str | None, state: str | None, as_json: bool) -> int:
    """Say why ENTITY carries its risk: reasons in words, their shares, the evidence and what was decided on it.

    ENTITY is an address, a host name, a user name or a pseudonym. Others in the evidence are shown as pseudonyms unless
    --reveal gives a purpose.

    \b
    Examples:
      ostiary explain 203.0.113.9
      ostiary explain root --json
    """
    settings = read_settings(config, state)
    record, decisions, looks = _look_up(settings, entity)
    names = {record.pseudonym: entity}
    if purpose is not None:
        texts = [record.text for record in decisions]
        names |= reveal(settings, _pseudonyms_in([record.pseudonym, *texts, *record.texts]), purpose)
    if as_json:
        from ostiary.explaining import counterfactual_of

        evidence = [{key: value for key, value in asdict(item).items() if key != "document"} for item in decisions]
        change = asdict(counterfactual_of(record, decisions))
        plain = {**asdict(record), "name": names[record.pseudonym], "counterfactual": change, "decisions": evidence}
        plain["deep_looks"] = [asdict(found) for found in looks]
        click.echo(json.dumps(plain))
    else:
        _show(record, decisions, names)
        _show_looks(looks)
    return 0


def _look_up(settings: Settings, text: str) -> tuple[EntityRecord, Sequence[DecisionRecord], Sequence[DeepLookRecord]]:
    from ostiary.state import STORE, existing

    with Reader.open(existing(settings) / STORE) as reader:
        for pseudonym in candidates(settings, text):
            found = reader.entity(pseudonym)
            if found is not None:
                decisions = reader.decisions(entity=pseudonym, run_id=found.run_id, limit=1000).items
                return found, decisions, reader.deep_looks(pseudonym, found.run_id)
    raise not_found(text)


def _strongest(reasons: Sequence[str], decisions: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    """Return the newest evidence of each reason, in the order of the reasons."""
    newest = {item.reason: item for item in reversed(decisions)}
    return [newest[reason] for reason in reasons if reason in newest]


def _pseudonyms_in(texts: Sequence[str]) -> set[str]:
    return {match for text in texts for match in PSEUDONYM.findall(text)}


def _show_looks(looks: Sequence[DeepLookRecord]) -> None:
    """Show what deep looks found."""
    from ostiary.cli.table import console, instant, table

    for found in looks:
        seen = table("", title=f"What tshark sees in its latest packets, asked at {instant(found.ts)} UTC")
        for fact in found.facts or (f"nothing: {found.problem}",):
            seen.add_row(fact)
        console().print()
        console().print(seen)


def _show_changes(out: "Console", record: EntityRecord, decisions: Sequence[DecisionRecord]) -> None:
    """Show what would have kept the risk low, and in what it differs from its nearest normal neighbours."""
    from ostiary.cli.table import table
    from ostiary.explaining import counterfactual_of

    found = counterfactual_of(record, decisions)
    if found.changes:
        title = f"What would have kept it low: without this, a risk of {found.risk:.2f}"
        shown = table("without", "alone it gives", "thus with", title=title)
        for change in found.changes:
            fact = f"{change.fact} at most {change.usual:g} (it was {change.value:g})" if change.fact else ""
            shown.add_row(change.reason, f"{change.weight:.2f}", fact)
        out.print(shown)
        out.print()
    if record.nearest:
        beside = table("", "here", "there", title="Beside the five normal sources most like it")
        for name, value, low, high in record.nearest:
            beside.add_row(name, f"{value:g}", f"{low:g} to {high:g}" if low != high else f"{low:g}")
        out.print(beside)
        out.print()


def _show(record: EntityRecord, decisions: Sequence[DecisionRecord], names: dict[str, str]) -> None:
    from rich.text import Text

    from ostiary.cli.table import LEVEL_STYLES, bar, console, instant, place, table

    out = console()
    level = Text(record.level, LEVEL_STYLES.get(record.level, ""))
    out.print(
        Text.assemble((names[record.pseudonym], "bold"), f"  risk {record.risk:.2f} ", level, f", {record.verdict}")
    )
    worst = f"at its worst {instant(record.ts)} UTC"
    out.print(f"{worst}; confidence {record.confidence:.2f}; halves in {record.half_life_s:.0f} s")
    out.print()
    shares = table("share", "", "reason", "in words", title=f"What the risk of {record.risk:.2f} is made of")
    for reason, text in zip(record.reasons, record.texts, strict=False):
        share = record.contributions.get(reason, 0.0)
        shares.add_row(f"{share:.2f}", bar(share), reason, spoken(text, names))
    out.print(shares)
    out.print()
    grounds = table("reason", "rests on", "it would be innocent as", title="What the reasons rest on")
    for item in _strongest(record.reasons, decisions):
        facts = ", ".join(f"{name} {value:g} (usually at most {usual:g})" for name, value, usual in item.facts)
        grounds.add_row(item.reason, facts, item.innocent)
    out.print(grounds)
    out.print()
    _show_changes(out, record, decisions)
    evidence = table("at (UTC)", "decided", "technique", "where", "evidence", title="Evidence, newest first")
    for item in decisions[:EVIDENCE_SHOWN]:
        where = place(item.source, item.seq)
        evidence.add_row(instant(item.ts), item.verdict, item.technique, where, spoken(item.text, names))
    out.print(evidence)
    if len(decisions) > EVIDENCE_SHOWN:
        out.print(f"and {len(decisions) - EVIDENCE_SHOWN} more: `ostiary decisions --entity {names[record.pseudonym]}`")
