"""The report of a run, made from what is stored: pseudonyms and masked words, never a plain name."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compliance.audit import verify
from compliance.audit.reader import CHECKPOINT, VERIFIER
from compliance.reports.data import ActionRow, AuditFacts, EntityRow, ReportData, SourceRow, TimeBin, VerdictRow
from compliance.reports.report import render_html
from compliance.values import Verification
from ostiary import __version__
from ostiary.errors import NotFoundError, StateError
from ostiary.settings import Settings
from ostiary.state import AUDIT, REPORT, STORE, existing
from ostiary.store import EntityRecord, Reader, RunRecord

ENTITIES, ACTIONS, STRETCHES = 50, 100, 48
COUNTERS = ("read", "parsed", "rows", "malformed", "ignored", "dropped", "late")
LIMITS = (
    "It shows what the sensors saw: traffic that passed no sensor, and what is encrypted, is not in it.",
    "Risk is a judgement from evidence, not a proof of guilt. Each reason names the case that would make it innocent "
    "in `ostiary explain`.",
    "Entities are pseudonyms. One address may stand for several people, and one person may use several addresses.",
    "Entities that gave no evidence are not listed; the policy treats them as low risk.",
    "In observe mode nothing was enforced: actions are what would have been done.",
)


def verified(state: Path) -> Verification:
    """Verify the audit log of a state directory with the key beside it."""
    return verify(state / AUDIT)


def write_report(settings: Settings, target: Path | None = None, run_id: str | None = None) -> Path:
    """Write the report of a run (the newest by default) and return its path; raise `NotFoundError`."""
    state = existing(settings)
    with Reader.open(state / STORE) as reader:
        run = reader.latest_run() if run_id is None else next((r for r in reader.runs() if r.id == run_id), None)
        if run is None:
            raise NotFoundError(f"there is no run {run_id or ''} to report on")
        html = render_html(report_data(settings, reader, run))
    path = target or state / REPORT
    try:
        path.touch(mode=0o600)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise StateError(f"{path}: {error.strerror or error}; choose another with --output") from error
    return path


def report_data(settings: Settings, reader: Reader, run: RunRecord) -> ReportData:
    """Gather what a report says of a run."""
    first, last = reader.span(run.id)
    entities = reader.entities(run.id, limit=ENTITIES).items
    actions = reader.actions(run_id=run.id, limit=1000).items
    return ReportData(
        title="Ostiary report", period=(first, last), made_ns=time.time_ns(), mode=settings.response.mode,
        sources=tuple(_source(source) for source in run.sources), entities=tuple(map(_entity, entities)),
        entities_seen=reader.count_entities(run.id),
        verdicts=_verdicts(reader, run.id),
        actions=tuple(
            ActionRow(a.ts, a.actuator, a.pseudonym, a.state, a.reason, a.impact, a.lease_s)
            for a in sorted(actions, key=lambda action: action.ts)[:ACTIONS]
        ),
        actions_all=len(actions), audit=_audit(existing(settings), settings),
        policy_engine=settings.policy.engine, policy_revision=run.policy_revision, model_revision=run.model_revision,
        settings_digest=run.settings_digest, version=__version__, purpose=settings.compliance.purpose,
        legal_basis=settings.compliance.legal_basis, limits=LIMITS, timeline=_timeline(reader, run.id, first, last),
    )  # fmt: skip


def _source(source: Mapping[str, Any]) -> SourceRow:
    name = str(source.get("name", "")).rsplit("/", 1)[-1]
    return SourceRow(name, str(source.get("format", "")), *(int(source.get(counter, 0)) for counter in COUNTERS))


def _entity(record: EntityRecord) -> EntityRow:
    return EntityRow(record.pseudonym, record.risk, record.level, record.texts, record.contributions, record.verdict)


def _verdicts(reader: Reader, run_id: str) -> tuple[VerdictRow, ...]:
    entities = reader.judged(run_id)
    totals = reader.totals(run_id)
    return tuple(
        VerdictRow(
            verdict,
            sum(total.decisions for total in totals if total.verdict == verdict),
            entities[verdict],
            {total.reason: total.decisions for total in totals if total.verdict == verdict and total.reason},
        )
        for verdict in entities
    )


def _timeline(reader: Reader, run_id: str, first: int, last: int) -> tuple[TimeBin, ...]:
    width = (last - first) // STRETCHES + 1
    bins: list[dict[str, int]] = [{} for _ in range(STRETCHES)]
    for number, verdict, count in reader.timeline(run_id, first, width):
        bins[number][verdict] = count
    return tuple(TimeBin(first + number * width, verdicts) for number, verdicts in enumerate(bins)) if last else ()


def _audit(state: Path, settings: Settings) -> AuditFacts:
    found = verified(state)
    note, vkey = (_text(state / AUDIT / name) for name in (CHECKPOINT, VERIFIER))
    problems = tuple(f"{problem.where}: {problem.text}" for problem in found.problems)
    return AuditFacts(
        settings.compliance.log_origin, found.size, found.root.hex(), note, vkey.strip(), found.ok, problems
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
