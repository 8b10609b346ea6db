"""`ostiary label`: say that something was an attack, or was none; take it back; see whose label would help most."""

import getpass
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any  # JSON values

import click

from compliance.errors import AuditLockedError
from compliance.values import AuditEntry
from ostiary.cli.asking import ask, token_option
from ostiary.cli.names import candidates, not_found
from ostiary.cli.options import common, read_settings
from ostiary.errors import NotFoundError
from ostiary.settings import Settings
from ostiary.store import LabelRecord, StoreBusyError
from ostiary.store.reader import Reader

VERDICTS = ("malicious", "benign")


@click.command()
@click.argument("subject", required=False)
@click.argument("said", type=click.Choice(VERDICTS), required=False, metavar="[malicious|benign]")
@click.option("--note", default="", metavar="TEXT", help="Why; it is kept with the label, personal data masked.")
@click.option("--list", "listing", is_flag=True, help="List all labels, also the withdrawn.")
@click.option("--withdraw", metavar="LABEL", help="Take a label back, with all that it changed.")
@click.option("--ask", "number", type=click.IntRange(1, 100), metavar="N", help="Name the N whose label helps most.")
@token_option
@common
def command(
    subject: str | None, said: str | None, note: str, listing: bool, withdraw: str | None, number: int | None,
    token_file: str | None, config: str | None, state: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Say that SUBJECT is malicious or benign: an entity, a decision's id, or either with #REASON for one evidence.

    A running service is asked by its API and acts on it at once; without one the label is written into the state
    directory, and the next run hears it.

    \b
    Examples:
      ostiary label 203.0.113.9 benign --note "our scanner"
      ostiary label 203.0.113.9#web.sql malicious
      ostiary label --list
      ostiary label --withdraw 1f0c...
      ostiary label --ask 5
    """
    settings = read_settings(config, state)
    chosen = [listing, withdraw is not None, number is not None, subject is not None]
    if sum(chosen) != 1 or (subject is None) != (said is None):
        raise click.UsageError("give SUBJECT and malicious or benign, or one of --list, --withdraw, --ask")
    if listing:
        return _list(settings, as_json)
    if number is not None:
        return _ask(settings, number, as_json)
    if withdraw is not None:
        return _tell(_withdraw(settings, withdraw, token_file), as_json)
    assert subject is not None and said is not None
    return _tell(_say(settings, subject, said, note, token_file), as_json)


def _say(settings: Settings, text: str, said: str, note: str, token_file: str | None) -> LabelRecord:
    from ostiary.labelling import Said, facts_for_audit, find_subject, make_label
    from ostiary.state import State

    name = _known(settings, text)
    try:
        with State.open(settings) as state:
            subject = find_subject(state.store, name)
            if subject is None:
                raise not_found(text)
            given = Said(said == "malicious", note, _local_user())
            label = make_label(subject, given, time.time_ns(), len(state.store.labels()))
            facts = facts_for_audit(label, lambda pseudonym: state.vault.commitment(state.vault.find(pseudonym)))
            state.audit.append([_entry(settings, "label", label.note, facts)])
            state.store.put_label(label)
            return label
    except (AuditLockedError, StoreBusyError):  # the service has it
        body = {"subject": name, "verdict": said, "note": note}
        return _record(ask(settings, token_file, "POST", "/labels", body))


def _withdraw(settings: Settings, label_id: str, token_file: str | None) -> LabelRecord:
    from ostiary.labelling import facts_for_audit, withdrawn
    from ostiary.state import State, existing

    existing(settings)
    try:
        with State.open(settings) as state:
            label = state.store.label(label_id)
            if label is None:
                raise NotFoundError(f"there is no label {label_id}")
            facts = facts_for_audit(label, lambda pseudonym: state.vault.commitment(state.vault.find(pseudonym)))
            state.audit.append([_entry(settings, "label.withdrawn", "", facts)])
            label = withdrawn(label, _local_user(), time.time_ns())
            state.store.put_label(label)
            return label
    except (AuditLockedError, StoreBusyError):
        return _record(ask(settings, token_file, "DELETE", f"/labels/{label_id}"))


def _known(settings: Settings, text: str) -> str:
    """Return the subject under the pseudonym that a run knows; raise `NotFoundError`."""
    from ostiary.labelling import find_subject
    from ostiary.state import STORE, existing

    name, mark, reason = text.partition("#")
    with Reader.open(existing(settings) / STORE) as reader:
        for pseudonym in candidates(settings, name):
            if find_subject(reader, f"{pseudonym}{mark}{reason}") is not None:
                return f"{pseudonym}{mark}{reason}"
    raise not_found(text)


def _list(settings: Settings, as_json: bool) -> int:
    from ostiary.cli.table import console, instant, joined, table
    from ostiary.labelling import verdict
    from ostiary.state import STORE, existing

    with Reader.open(existing(settings) / STORE) as reader:
        labels = reader.labels()
    if as_json:
        for label in labels:
            click.echo(json.dumps(asdict(label)))
        return 0
    shown = table("label", "said (UTC)", "by", "of", "reasons", "verdict", "note", "withdrawn (UTC)")
    for label in labels:
        gone = instant(label.withdrawn_ns) if label.withdrawn_ns else ""
        reasons = joined([reason for reason, _, _ in label.cases], 3)
        said = verdict(label) if label.whole else f"{verdict(label)} (this evidence)"
        shown.add_row(label.id, instant(label.said_ns), label.actor, label.pseudonym, reasons, said, label.note, gone)
    console().print(shown if labels else "nobody has labelled anything")
    return 0


def _ask(settings: Settings, number: int, as_json: bool) -> int:
    from ostiary.cli.table import console, joined, table
    from ostiary.labelling import cases_of, plain_cases
    from ostiary.state import STORE, existing
    from risk.feedback import Feedback
    from risk.feedback import ask as worth_asking
    from risk.labels import Label

    with Reader.open(existing(settings) / STORE) as reader:
        told = reader.labels(in_force=True)
        named = {label.pseudonym for label in told}
        entities = {entity.pseudonym: entity for entity in reader.entities(min_risk=0.05, limit=200).items}
        found = {
            name: tuple(cases_of(reader, entity).values()) for name, entity in entities.items() if name not in named
        }
    feedback = Feedback([Label(each.id, each.ts, None, each.malicious, plain_cases(each), each.whole) for each in told])
    asked = worth_asking(found, feedback, number)
    if as_json:
        for name, worth in asked:
            entity = entities[name]
            click.echo(json.dumps({"pseudonym": name, "worth": worth, "risk": entity.risk, "reasons": entity.reasons}))
        return 0
    shown = table("entity", "risk", "would move", "why")
    for name, worth in asked:
        shown.add_row(name, f"{entities[name].risk:.2f}", f"{worth:.2f}", joined(list(entities[name].texts), 2))
    console().print(shown if asked else "there is nobody to ask about")
    return 0


def _tell(label: LabelRecord, as_json: bool) -> int:
    from ostiary.labelling import verdict

    state = "withdrawn" if label.withdrawn_ns else "in force"
    click.echo(json.dumps(asdict(label)) if as_json else f"{label.id}: {label.pseudonym} {verdict(label)}, {state}")
    return 0


def _record(answer: dict[str, object]) -> LabelRecord:
    return LabelRecord(**answer)  # type: ignore[arg-type]  # the service's own record, as JSON


def _local_user() -> str:
    return f"local user {getpass.getuser()}"


def _entry(settings: Settings, kind: str, why: str, facts: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        kind=kind, who=_local_user(), what="asked for", why=why, ts=time.time_ns(),
        purpose=settings.compliance.purpose, legal_basis=settings.compliance.legal_basis, facts=facts,
    )  # fmt: skip
