"""`ostiary policy explain`: which rules led to a recorded decision, and what would have changed it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ostiary.cli.options import common, read_settings
from ostiary.errors import NotFoundError
from ostiary.settings import Settings

if TYPE_CHECKING:  # heavy, and --help needs none of it
    from ostiary.store import DecisionRecord
    from policy.explain import Counterfactual, Fired


@click.command()
@click.argument("decision_id")
@click.option("--bundle", metavar="BUNDLE", help="Explain by this bundle; default: the one in force.")
@click.option(
    "--purpose", default="", metavar="PURPOSE",
    help="Read the plain names, for this purpose, so that rules on them apply; it is audited.",
)  # fmt: skip
@common
def command(
    decision_id: str, bundle: str | None, purpose: str, config: str | None, state: str | None, as_json: bool
) -> int:
    """Show the rules whose conditions held for DECISION_ID (an id of `ostiary decisions`), with their lines in the
    bundle, and the smallest change of the question that would have given another answer.

    Without --purpose names stay pseudonyms: rules on an address or an identity don't apply.

    \b
    Examples:
      ostiary policy explain 8c376ed38dc28e12e81534a079e88b83
      ostiary policy explain 8c376ed38dc28e12e81534a079e88b83 --json
    """
    from ostiary.deciding import policy_bundle
    from policy.bundles import load_bundle
    from policy.engines.embedded import EmbeddedEngine
    from policy.explain import counterfactuals, fired

    settings = read_settings(config, state)
    record, document = _recorded(settings, decision_id, purpose.strip())
    chosen = load_bundle(bundle) if bundle else policy_bundle(settings)
    engine = EmbeddedEngine(chosen)
    verdict = str(engine.evaluate(document).get("verdict"))
    rules, others = fired(chosen, document), counterfactuals(engine, document)
    notes = _notes(record, verdict, chosen.revision, bool(purpose.strip()))
    if as_json:
        row = {
            "decision": record.id, "verdict": record.verdict, "verdict_now": verdict,
            "policy_revision": chosen.revision, "rules": [asdict(rule) for rule in rules],
            "otherwise": [asdict(other) | {"text": other.say()} for other in others], "notes": notes,
        }  # fmt: skip
        click.echo(json.dumps(row))
    else:
        _show(record, rules, others, notes)
    return 0


def _recorded(settings: Settings, decision_id: str, purpose: str) -> "tuple[DecisionRecord, Mapping[str, Any]]":
    """Return a decision and its document, with names where there is a purpose."""
    from ostiary.cli.names import reading
    from ostiary.history import plain_document
    from ostiary.state import STORE, existing
    from ostiary.store import Reader

    with Reader.open(existing(settings) / STORE) as store:
        record, sealed = store.decision(decision_id), store.sealed(decision_id)
    if record is None:
        raise NotFoundError(f"there is no decision {decision_id} (`ostiary decisions` lists them)")
    if not purpose:
        return record, record.document
    with reading(settings, "explained a decision", decision_id, purpose, [record.pseudonym]) as vault:
        return record, plain_document(vault, record.id, record.pseudonym, json.dumps(record.document), sealed)


def _notes(record: "DecisionRecord", verdict: str, revision: str, plain: bool) -> list[str]:
    notes = []
    if record.policy_revision != revision:
        notes.append(f"policy {record.policy_revision[:8]} decided then; this is what {revision[:8]} says")
    if verdict != record.verdict:
        notes.append(f"it would be {verdict} by this bundle")
    if not plain:
        notes.append("names stayed pseudonyms: rules on an address or an identity did not apply (--purpose)")
    return notes


def _show(
    record: "DecisionRecord", rules: "tuple[Fired, ...]", others: "tuple[Counterfactual, ...]", notes: list[str]
) -> None:
    from ostiary.cli.table import console, table

    out = console()
    out.print(f"{record.verdict} of {record.pseudonym}: {'; '.join(text for _, text in record.reasons)}")
    for note in notes:
        out.print(f"({note})")
    shown = table("where", "rule", "why it is there", title="Rules whose conditions held")
    for rule in rules:
        shown.add_row(f"{rule.file}:{rule.line}", rule.head, rule.comment)
    out.print(shown)
    for other in others:
        out.print(f"{other.say()}")
    if not others:
        out.print("no change of one or two fields gives another answer")
