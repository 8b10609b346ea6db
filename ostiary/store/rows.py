"""Records to rows and back.

Guarantees: a row has the columns of its table in order; texts are valid UTF-8 (a lone surrogate, as a file name of
arbitrary bytes leads to, becomes `?`); lists and mappings are JSON. Nothing here touches a database.
"""

import json
from collections.abc import Sequence
from typing import Any  # rows of SQLite and JSON values have no better type

from ostiary.store.records import (
    ActionRecord,
    DecisionRecord,
    DeepLookRecord,
    EntityRecord,
    LabelRecord,
    PastDecision,
    PositionRecord,
    RunRecord,
    ShadowDifference,
)

RUN_COLUMNS = "id, started_ns, kind, sources, settings_digest, policy_revision, model_revision, finished_ns"
ENTITY_COLUMNS = (
    "run_id, pseudonym, kind, ts, risk, level, confidence, half_life_s, reasons, texts, contributions, verdict, nearest"
)
DECISION_COLUMNS = (
    "id, run_id, ts, pseudonym, verdict, reasons, obligations, ttl_s, policy_revision, model_revision, input_digest,"
    " document, reason, text, technique, source, seq, innocent, facts"
)
SEALED = "sealed"
"""The column of a decision that only the vault can read; it belongs to no record."""
HISTORY_COLUMNS = "number, id, ts, pseudonym, verdict, document, sealed"
ARCHIVE_COLUMNS = (
    "number, id, run_id, ts, pseudonym, verdict, reasons, obligations, ttl_s, policy_revision, model_revision,"
    " input_digest, document, sealed, reason, technique"
)
SHADOW_COLUMNS = "run_id, decision_id, ts, pseudonym, route, verdict, shadow_verdict, shadow_reason, shadow_revision"
ACTION_COLUMNS = "id, run_id, decision_id, actuator, pseudonym, ts, lease_s, state, reason, impact, undo"
LABEL_COLUMNS = "id, ts, said_ns, pseudonym, malicious, whole, cases, note, actor, origin, withdrawn_ns, withdrawn_by"
DEEP_LOOK_COLUMNS = "run_id, ts, pseudonym, decision_id, facts, problem"
POSITION_COLUMNS = "name, entry, place, counters, updated_ns"

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def plain(text: str) -> str:
    """Return the text with each lone surrogate replaced by `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def to_json(value: object) -> str:
    """Return JSON of lists, mappings, texts and numbers."""
    return plain(_encoder.encode(value))


def run_row(run: RunRecord) -> tuple[Any, ...]:
    """Return the row of a run."""
    return (
        run.id, run.started_ns, run.kind, to_json(run.sources), run.settings_digest, run.policy_revision,
        run.model_revision, run.finished_ns,
    )  # fmt: skip


def entity_row(entity: EntityRecord) -> tuple[Any, ...]:
    """Return the row of an entity."""
    return (
        entity.run_id, plain(entity.pseudonym), entity.kind, entity.ts, entity.risk, entity.level, entity.confidence,
        entity.half_life_s, to_json(entity.reasons), to_json(entity.texts), to_json(dict(entity.contributions)),
        entity.verdict, to_json(entity.nearest),
    )  # fmt: skip


def decision_row(decision: DecisionRecord) -> tuple[Any, ...]:
    """Return the row of a decision."""
    return (
        decision.id, decision.run_id, decision.ts, plain(decision.pseudonym), decision.verdict,
        to_json(decision.reasons), to_json(decision.obligations), decision.ttl_s, decision.policy_revision,
        decision.model_revision, decision.input_digest, to_json(decision.document), decision.reason,
        plain(decision.text), decision.technique, plain(decision.source), decision.seq, plain(decision.innocent),
        to_json(decision.facts),
    )  # fmt: skip


def action_row(action: ActionRecord) -> tuple[Any, ...]:
    """Return the row of an action."""
    return (
        action.id, action.run_id, action.decision_id, action.actuator, plain(action.pseudonym), action.ts,
        action.lease_s, action.state, plain(action.reason), plain(action.impact), plain(action.undo),
    )  # fmt: skip


def run_of(row: Sequence[Any]) -> RunRecord:
    """Return the run in a row of `RUN_COLUMNS`."""
    values = (*row[:3], tuple(json.loads(row[3])), *row[4:8])
    return RunRecord(*values)


def entity_of(row: Sequence[Any]) -> EntityRecord:
    """Return the entity in a row of `ENTITY_COLUMNS`."""
    nearest = tuple((name, value, low, high) for name, value, low, high in json.loads(row[12]))
    values = (*row[:8], tuple(json.loads(row[8])), tuple(json.loads(row[9])), json.loads(row[10]), row[11], nearest)
    return EntityRecord(*values)


def label_row(label: LabelRecord) -> tuple[Any, ...]:
    """Return the row of a label."""
    return (
        label.id, label.ts, label.said_ns, plain(label.pseudonym), int(label.malicious), int(label.whole),
        to_json(label.cases), plain(label.note), plain(label.actor), label.origin, label.withdrawn_ns,
        plain(label.withdrawn_by),
    )  # fmt: skip


def label_of(row: Sequence[Any]) -> LabelRecord:
    """Return the label in a row of `LABEL_COLUMNS`."""
    cases = tuple(
        (reason, weight, tuple((name, value, usual) for name, value, usual in facts))
        for reason, weight, facts in json.loads(row[6])
    )
    values = (*row[:4], bool(row[4]), bool(row[5]), cases, *row[7:12])
    return LabelRecord(*values)


def decision_of(row: Sequence[Any]) -> DecisionRecord:
    """Return the decision in a row of `DECISION_COLUMNS`."""
    reasons = tuple((code, text) for code, text in json.loads(row[5]))
    facts = tuple((name, value, usual) for name, value, usual in json.loads(row[18]))
    values = (*row[:5], reasons, json.loads(row[6]), *row[7:11], json.loads(row[11]), *row[12:18], facts)
    return DecisionRecord(*values)


def shadow_row(difference: ShadowDifference) -> tuple[Any, ...]:
    """Return the row of a shadow's difference."""
    return (
        difference.run_id, difference.decision_id, difference.ts, plain(difference.pseudonym), plain(difference.route),
        difference.verdict, difference.shadow_verdict, plain(difference.shadow_reason), difference.shadow_revision,
    )  # fmt: skip


def shadow_of(row: Sequence[Any]) -> ShadowDifference:
    """Return the difference in a row of `SHADOW_COLUMNS`."""
    return ShadowDifference(*row[:9])


def past_of(row: Sequence[Any]) -> PastDecision:
    """Return the past decision in a row of `HISTORY_COLUMNS`."""
    return PastDecision(*row)


def action_of(row: Sequence[Any]) -> ActionRecord:
    """Return the action in a row of `ACTION_COLUMNS`."""
    return ActionRecord(*row[:11])


def deep_look_row(found: DeepLookRecord) -> tuple[Any, ...]:
    """Return the row of a deep look."""
    return (
        found.run_id, found.ts, plain(found.pseudonym), found.decision_id, to_json(found.facts), plain(found.problem),
    )  # fmt: skip


def deep_look_of(row: Sequence[Any]) -> DeepLookRecord:
    """Return the deep look in a row of `DEEP_LOOK_COLUMNS`."""
    values = (*row[:4], tuple(json.loads(row[4])), row[5])
    return DeepLookRecord(*values)


def position_row(position: PositionRecord) -> tuple[Any, ...]:
    """Return the row of a position; a name that isn't UTF-8 is spelt so that it comes back as it was."""
    return (
        to_json(list(position.name.encode("utf-8", "surrogateescape")) if _odd(position.name) else position.name),
        plain(position.entry), to_json(dict(position.place)), to_json(dict(position.counters)), position.updated_ns,
    )  # fmt: skip


def position_of(row: Sequence[Any]) -> PositionRecord:
    """Return the position in a row of `POSITION_COLUMNS`."""
    name = json.loads(row[0])
    name = name if isinstance(name, str) else bytes(name).decode("utf-8", "surrogateescape")
    return PositionRecord(name, row[1], json.loads(row[2]), json.loads(row[3]), row[4])


def _odd(text: str) -> bool:
    return text != plain(text)
