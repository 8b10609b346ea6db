"""Write down what came of a run: first in the audit log, then in the store; nothing personal in plain text.

Entities become pseudonyms of the vault in the store and commitments in the audit log; other pieces of sentences are
masked. A decision's record is bound by an HMAC under the subject's own opening: whoever may reveal the subject can show
that this is what was decided; once the opening is destroyed nobody can test a guess against it (a bare digest of an
address falls in hours).
"""

import contextlib
import hmac
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from compliance.errors import UnknownSubjectError
from compliance.privacy.text import mask
from compliance.values import AuditEntry
from ostiary.engine import Outcome
from ostiary.followers import Followers
from ostiary.history import decision_message
from ostiary.settings import Settings, settings_digest
from ostiary.state import State
from ostiary.store import (
    MAX_PAGE,
    ActionRecord,
    DecisionRecord,
    DeepLookRecord,
    EntityRecord,
    PositionRecord,
    Progress,
    RunRecord,
    ShadowDifference,
    StoreError,
)
from ostiary.summary import Line
from policy.records import hide, pack
from policy.values import Decision, ShadowAnswer
from response.values import Action, ActionState
from risk.values import Words
from sensors.values import Counters, Entity, EntityKind

if TYPE_CHECKING:
    from ostiary.deep import Found

CACHED = 65536
WITHOUT_EFFECT = frozenset({ActionState.PROPOSED, ActionState.REFUSED})
MOST_UNSTORED = 1 << 17
LOGGED = ""
"""Name of the position that says up to which entry of the audit log everything is in the store."""
ID = 32
"""Hex digits of a stored id."""
WHO = "ostiary"
COUNTED = tuple(Counters().as_dict())
SOON_S = 2.0
"""How long new settings wait for those who followed by the old ones."""


class Recorder:
    """Records one run. It is the audit sink of the response layer, too."""

    def __init__(self, state: State, settings: Settings, clock: Callable[[], int] = time.time_ns) -> None:
        self._state, self._settings, self._clock = state, settings, clock
        self._mask = lru_cache(CACHED)(mask)
        self._opening = lru_cache(CACHED)(state.vault.opening)
        self._ids = _Bounded()
        self._waiting: list[Action] = []
        self._run = RunRecord("", 0, "run")
        self._shadow_lost = 0
        self._followers: Followers | None = None
        self._unstored: set[str] = set()
        self._stored_to = 0

    def begin(self, run: RunRecord) -> None:
        """Open a run; every later record belongs to it."""
        self._run = run
        self._unstored = self._find_unstored() if run.kind == "service" else set()
        facts: dict[str, Any] = {**self._revisions(), **({"unstored": len(self._unstored)} if self._unstored else {})}
        self._append([self._entry(f"{run.kind}.started", "began to judge", facts)])
        self._state.store.begin_run(run)
        self._followers = Followers(self._settings, self._clock, _say)
        if run.kind == "service":
            self._followers.start()

    def record(self, action: Action) -> None:
        """Write an action's new state (`response.ports.AuditSink`): durably at once where it has an effect.

        What was only proposed or refused has none, and waits for `flush`: a flood of refusals costs one append a batch.
        """
        self._waiting.append(action)
        if action.state not in WITHOUT_EFFECT:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            actions, self._waiting = self._waiting, []
            self._append([self._action_entry(action) for action in actions])
            self._state.store.put_actions([self.action(action) for action in actions])

    @property
    def run_id(self) -> str:
        """The run that records belong to."""
        return self._run.id

    def masked(self, text: str) -> str:
        """Return a text of a stranger's without what identifies somebody."""
        return self._mask(text)

    def progress(self, progress: Progress) -> None:
        """Write how far the sources have come."""
        self._state.store.put_progress(self._with_logged(progress))

    def outcomes(
        self, outcomes: Sequence[Outcome], actions_too: bool = False, progress: Progress | None = None
    ) -> None:
        """Write decisions, and the actions that a worker proposed: one durable append for all of them.

        `progress` goes with the decisions into one transaction of the store. Where a crash came between the log and
        the store, the lines are judged again; decisions that come out the same are in the log already.
        """
        if not outcomes:
            return
        actions = [outcome.action for outcome in outcomes if outcome.action] if actions_too else []
        decisions, sealed = zip(*map(self._decision, outcomes), strict=True)
        entries = [
            self._decision_entry(record, outcome.entity)
            for record, outcome in zip(decisions, outcomes, strict=True)
            if not self._logged_before(record.id)
        ]
        self._append(entries + [self._action_entry(action) for action in actions])
        self._state.store.put_decisions(decisions, sealed, self._with_logged(progress) if progress else None)
        self._shadowed(decisions, [outcome.decision for outcome in outcomes])
        self._state.store.put_actions([self.action(action) for action in actions])

    def decisions(self, decisions: Sequence[Decision]) -> None:
        """Write decisions that a gate made on requests; what it sends again, since it wasn't told, counts once."""
        made = [(*self._record(decision), decision) for decision in decisions]
        known = self._state.store.known([record.id for record, _, _ in made])
        fresh = [each for each in made if each[0].id not in known]
        if not fresh:
            return
        records, sealed, decisions = zip(*fresh, strict=True)
        self._append(
            [
                self._decision_entry(record, decision.entity)
                for record, _, decision in fresh
                if not self._logged_before(record.id)
            ]
        )
        self._state.store.put_decisions(records, sealed)
        self._shadowed(records, decisions)

    def _shadowed(self, records: Sequence[DecisionRecord], decisions: Sequence[Decision]) -> None:
        """Write what a second policy said of the same questions; its trouble is nobody else's, but counted."""
        totals: Counter[tuple[str, str]] = Counter()
        differences = []
        for record, decision in zip(records, decisions, strict=True):
            if answer := decision.shadow:
                outcome = "same" if answer.verdict == record.verdict else "different" if answer.verdict else "failed"
                totals[answer.revision, outcome] += 1
                if outcome != "same":
                    differences.append(_difference(record, answer))
        if totals:
            try:
                self._state.store.put_shadow(self._run.id, totals, differences)
            except StoreError:
                self._shadow_lost += totals.total()

    def closing(self, entity: Entity, decision_id: str, what: str) -> None:
        """Write what is done to the connections of an entity that is no longer let in, before it is."""
        facts = {"decision": self._ids.find(decision_id), "what": what}
        self._append([self._entry("connections", "connections of an entity are to end", facts, self._subject(entity))])

    def deep_looks(self, found: Sequence["Found"]) -> None:
        """Write what deep looks found, as an input: it is not computed again."""
        if not found:
            return
        records = [
            DeepLookRecord(
                self._run.id, item.ts, self.name(item.entity), self._ids.find(item.decision_id),
                tuple(map(self._mask, item.look.facts)), self._mask(item.look.problem),
            )
            for item in found
        ]  # fmt: skip
        self._append([
            self._entry(
                "deep look", "looked into packets of an entity",
                {"decision": record.decision_id, "facts": len(record.facts), "problem": record.problem},
                self._subject(item.entity),
            )
            for record, item in zip(records, found, strict=True)
        ])  # fmt: skip
        self._state.store.put_deep_looks(records)

    def activated(self, settings: Settings, policy_revision: str) -> None:
        """Write that other settings are in force from now on."""
        self._settings, old = settings, self._settings
        if self._followers:
            self._follow_anew(self._followers, old)
        facts = {"run": self._run.id, "settings": settings_digest(settings), "policy": policy_revision}
        self._append([self._entry("activation", "took new settings into force", facts)])

    def _follow_anew(self, followers: Followers, old: Settings) -> None:
        """Let the followers do as the new settings say."""
        policy, before = self._settings.policy, old.policy
        if (policy.log_to, policy.log_days) == (before.log_to, before.log_days):
            followers.renew(self._settings)
            return
        self._followers = Followers(self._settings, self._clock, _say)
        followers.finish(SOON_S)
        self._followers.start()

    def behind(self) -> list[str]:
        """Return which followers cannot do their work now: history, opa, ocsf, otlp; may be asked from any thread."""
        return sorted(name.partition("=")[0] for name in (self._followers.failing() if self._followers else ()))

    def asked(self, kind: str, actor: str, facts: Mapping[str, Any], why: str = "") -> None:
        """Write that somebody asked for something, before it is done."""
        self._append([replace(self._entry(kind, "asked for", facts, why=why), who=actor)])

    def entities(self, lines: Iterable[Line]) -> None:
        """Write the newest assessments of entities."""
        self._state.store.put_entities([self._entity(line) for line in lines])

    def finish(self, lines: Iterable[Line], sources: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> None:
        """Write the entities at their worst and close the run."""
        self.entities(lines)
        facts = {"sources": len(sources), "read": _totals(sources), "counts": dict(counts)}
        if self._shadow_lost:
            facts["shadow_answers_lost"] = self._shadow_lost
        if self._followers:
            self._followers.finish()
            facts["behind"] = self.behind()
        self._append([self._entry(f"{self._run.kind}.finished", "finished judging", facts)])
        self._state.store.finish_run(self._run.id, self._clock(), tuple(sources))

    def name(self, entity: Entity) -> str:
        """Return the pseudonym of an entity."""
        return self._state.vault.seal(entity)

    def words(self, words: Words) -> str:
        """Return a sentence with pseudonyms for entities and masks for personal data in its other pieces."""
        masked = tuple(self._mask(piece) if isinstance(piece, str) else piece for piece in words.pieces)
        return Words(masked).say(self.name)

    def _subject(self, entity: Entity) -> str:
        """Return the name of an entity in the audit log: nobody can link it once the subject is erased."""
        return self._state.vault.commitment(entity)

    def _find_unstored(self) -> set[str]:
        """Return the decisions that the log has and the store hasn't: a crash came between the two."""
        log = self._state.audit
        known = next((place.place for place in self._state.store.positions() if place.name == LOGGED), {})
        self._stored_to = max(int(known.get("entries", log.size)), log.size - MOST_UNSTORED)
        found = {
            str(entry.facts["decision"])
            for entry in log.entries(self._stored_to, log.size)
            if entry.kind == "decision" and self._state.store.decision(str(entry.facts["decision"])) is None
        }
        if not found:
            self._stored_to = log.size
        return found

    def _with_logged(self, progress: Progress) -> Progress:
        """Return progress that also says up to which entry of the log everything is in the store."""
        entries = self._stored_to if self._unstored else self._state.audit.size
        logged = PositionRecord(LOGGED, LOGGED, {"entries": entries}, {}, self._clock())
        return replace(progress, positions=(*progress.positions, logged))

    def _logged_before(self, decision_id: str) -> bool:
        known = decision_id in self._unstored
        self._unstored.discard(decision_id)
        return known

    def _append(self, entries: Sequence[AuditEntry]) -> None:
        self._state.vault.flush()  # what the log refers to is durable before the log
        self._state.audit.append(entries)

    def _revisions(self) -> dict[str, str]:
        run = self._run
        return {
            "run": run.id,
            "settings": run.settings_digest,
            "policy": run.policy_revision,
            "model": run.model_revision,
        }

    def _entry(self, kind: str, what: str, facts: Mapping[str, Any], subject: str = "", why: str = "") -> AuditEntry:
        compliance = self._settings.compliance
        return AuditEntry(
            kind=kind, who=WHO, what=what, why=why, ts=self._clock(), subject=subject,
            purpose=compliance.purpose, legal_basis=compliance.legal_basis, facts=facts,
        )  # fmt: skip

    def _decision(self, outcome: Outcome) -> tuple[DecisionRecord, bytes]:
        evidence = outcome.finding.evidence
        record, sealed = self._record(outcome.decision)
        record = replace(
            record, reason=evidence.reason, text=self.words(evidence.text), technique=evidence.technique,
            source=evidence.source, seq=evidence.seq, innocent=evidence.innocent,
            facts=tuple((fact.name, fact.value, fact.usual_high) for fact in evidence.contributions),
        )  # fmt: skip
        return record, sealed

    def _record(self, decision: Decision) -> tuple[DecisionRecord, bytes]:
        """Return a decision without names, and its names, which only the vault can read."""
        pseudonym = self.name(decision.entity)
        commitment = self._bound(pseudonym, decision_message(decision))
        self._ids.keep(decision.id, commitment[:ID])
        hidden = hide(decision.document, pseudonym, self._others(decision))
        record = DecisionRecord(
            id=commitment[:ID], run_id=self._run.id, ts=decision.ts, pseudonym=pseudonym,
            verdict=decision.verdict.value, reasons=tuple((reason.code, reason.text) for reason in decision.reasons),
            obligations=decision.obligations, ttl_s=decision.ttl_s, policy_revision=decision.policy_revision,
            model_revision=decision.model_revision, input_digest=commitment, document=hidden.shown,
        )  # fmt: skip
        return record, self._state.vault.protect(pseudonym, pack(hidden), record.id)

    def _others(self, decision: Decision) -> dict[str, str]:
        """Return whom the document names besides its subject, and their pseudonyms."""
        document = decision.document
        named = {document["subject"]["identity"], document["resource"].get("owner", "")} - {""}
        return {identity: self.name(Entity(EntityKind.USER, identity)) for identity in sorted(named)}

    def _decision_entry(self, record: DecisionRecord, entity: Entity) -> AuditEntry:
        facts = {
            "decision": record.id, "verdict": record.verdict, "event_ts": str(record.ts), "evidence": record.reason,
            "reasons": [code for code, _ in record.reasons], "policy": record.policy_revision,
            "model": record.model_revision, "commitment": record.input_digest,
        }  # fmt: skip
        return self._entry("decision", "decided on an entity", facts, self._subject(entity), record.reason)

    def action(self, action: Action) -> ActionRecord:
        """Return an action as the store keeps it, under an id that tells nothing of its target."""
        pseudonym = self.name(action.target)
        stored = self._ids.find(action.id) or self._bound(pseudonym, f"action\0{action.id}".encode())[:ID]
        plain = {action.target.id: pseudonym, action.id: stored}
        return ActionRecord(
            id=stored, run_id=self._run.id, decision_id=self._ids.find(action.decision_id), actuator=action.actuator,
            pseudonym=pseudonym, ts=action.ts, lease_s=action.lease_s, state=action.state.value,
            reason=_replaced(action.reason, plain), impact=_replaced(action.impact, plain),
            undo=_replaced(action.undo, plain),
        )  # fmt: skip

    def standing(self) -> list[Action]:
        """Return the actions that the store holds active, from whichever run; the erased are left out."""
        found = []
        for record in self._state.store.actions(state=ActionState.ACTIVE.value, limit=MAX_PAGE).items:
            with contextlib.suppress(UnknownSubjectError):
                target = self._state.vault.find(record.pseudonym)
                self._ids.keep(record.id, record.id)
                self._ids.keep(record.decision_id, record.decision_id)
                found.append(_restored(record, target))
        return found

    def _bound(self, pseudonym: str, message: bytes) -> str:
        """Return what binds a message to a subject, and cannot be tested against guesses once that is erased."""
        return hmac.digest(self._opening(pseudonym), message, "sha256").hex()

    def _action_entry(self, action: Action) -> AuditEntry:
        record = self.action(action)
        facts = {
            "action": record.id, "state": record.state, "actuator": record.actuator, "lease_s": record.lease_s,
            "event_ts": str(record.ts), "impact": record.impact,
        }  # fmt: skip
        return self._entry(
            f"action.{record.state}", "cut an entity off", facts, self._subject(action.target), record.reason
        )

    def _entity(self, line: Line) -> EntityRecord:
        assessment = line.assessment
        return EntityRecord(
            run_id=self._run.id, pseudonym=self.name(line.entity), kind=line.entity.kind.value, ts=assessment.ts,
            risk=assessment.risk, level=assessment.level.value, confidence=assessment.confidence,
            half_life_s=assessment.half_life_s, reasons=assessment.reasons,
            texts=tuple(self.words(text) for text in assessment.texts), contributions=dict(assessment.contributions),
            verdict=line.decision.verdict.value, nearest=line.nearest,
        )  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - where a service manager collects it


class _Bounded:
    """The newest stored ids by the plain ones; a forgotten one is given anew (actions) or left out (decisions)."""

    def __init__(self) -> None:
        self._stored: dict[str, str] = {}

    def keep(self, plain: str, stored: str) -> None:
        self._stored[plain] = stored
        if len(self._stored) > CACHED:
            del self._stored[next(iter(self._stored))]

    def find(self, plain: str) -> str:
        return self._stored.get(plain, "")


def _difference(record: DecisionRecord, answer: ShadowAnswer) -> ShadowDifference:
    resource = record.document["resource"]
    return ShadowDifference(
        record.run_id, record.id, record.ts, record.pseudonym, f"{resource['kind']} {resource['name']}", record.verdict,
        answer.verdict, answer.because, answer.revision,
    )  # fmt: skip


def _replaced(text: str, plain: Mapping[str, str]) -> str:
    for name, stored in plain.items():
        text = text.replace(name, stored)
    return text


def _restored(record: ActionRecord, target: Entity) -> Action:
    return Action(
        id=record.id, decision_id=record.decision_id, actuator=record.actuator, target=target, ts=record.ts,
        lease_s=record.lease_s, state=ActionState(record.state), reason=record.reason, impact=record.impact,
        undo=record.undo,
    )  # fmt: skip


def _totals(sources: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the counters of all sources added up: names may tell who somebody is, and there is no bound on them."""
    totals: dict[str, int] = {}
    for source in sources:
        for name in COUNTED:
            totals[name] = totals.get(name, 0) + int(source.get(name, 0))
    return totals
