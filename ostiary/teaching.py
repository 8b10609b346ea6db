"""How the running service takes labels in: into the records, and into the risk core.

Guarantees: what is said stands in the audit log before it takes effect, and takes effect before the answer is given;
undoing an action says that it was wrong, so that the same evidence doesn't cut the same address off again; a forest is
grown in a process of its own and taken up between two batches. Belongs to the engine's thread.
"""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor

from ostiary.labelling import Said, facts_for_audit, find_subject, labels_of, make_label, withdrawn
from ostiary.recorder import Recorder
from ostiary.state import State
from ostiary.store import ActionRecord, LabelRecord
from risk.engine import RiskEngine
from risk.feedback import Feedback
from risk.forest import ENOUGH, Forest, grow
from risk.labels import Label

UNDONE = "the action was undone"


class Teacher:
    """Takes labels and their withdrawal, and has the risk core hear what is in force."""

    def __init__(
        self, state: State, recorder: Recorder, risk: RiskEngine, seed: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._state, self._recorder, self._risk = state, recorder, risk
        self._seed, self._clock = seed, clock
        self._pool: ProcessPoolExecutor | None = None
        self._growing: Future[Forest | None] | None = None
        self._labels: Sequence[Label] = ()
        self.feedback = Feedback()

    def begin(self) -> None:
        """Hear the labels that were in force when the service ended."""
        if self._state.store.labels(in_force=True):
            self._hear()

    def say(self, subject: str, said: Said) -> LabelRecord | None:
        """Take a label; None where no run knows the subject."""
        found = find_subject(self._state.store, subject)
        if found is None:
            return None
        label = make_label(found, said, self._clock(), len(self._labels))
        self._recorder.asked("label", said.actor, facts_for_audit(label, self._commitment), label.note)
        self._state.store.put_label(label)
        self._hear()
        return label

    def withdraw(self, label_id: str, actor: str) -> LabelRecord | None:
        """Withdraw a label; None where there is none. Withdrawing twice changes nothing."""
        label = self._state.store.label(label_id)
        if label is None or label.withdrawn_ns:
            return label
        self._recorder.asked("label.withdrawn", actor, facts_for_audit(label, self._commitment))
        label = withdrawn(label, actor, self._clock())
        self._state.store.put_label(label)
        self._hear()
        return label

    def undone(self, action: ActionRecord, actor: str) -> LabelRecord | None:
        """Learn from an undone action that the evidence behind it was no attack."""
        said = Said(False, UNDONE, actor, "undo")
        subject = action.decision_id if self._state.store.decision(action.decision_id) else action.pseudonym
        return self.say(subject, said)

    def turn(self) -> None:
        """Take a forest up that has grown meanwhile; called between two batches."""
        if self._growing is not None and self._growing.done():
            grown, self._growing = self._growing, None
            if (
                grown.cancelled() or grown.exception() is not None
            ):  # the linear model goes on; the next label tries again
                self.close()
            elif grown.result() is not None:
                self._take(Feedback(self._labels, grown.result()))

    def close(self) -> None:
        """Let go of the process that grows forests."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _hear(self) -> None:
        self._labels = labels_of(self._state.store.labels(in_force=True), self._state.vault)
        self._take(Feedback(self._labels))
        if len(self._labels) >= ENOUGH:
            self._grow()

    def _grow(self) -> None:
        self.turn()  # a pool that broke meanwhile takes nothing any more
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver"))
        if self._growing is not None:
            self._growing.cancel()
        with contextlib.suppress(BrokenExecutor):
            self._growing = self._pool.submit(grow, self._labels, self._seed)

    def _take(self, feedback: Feedback) -> None:
        self._risk.hear(feedback)
        self.feedback = feedback
        facts = {
            "model": self._risk.revision, "labels": len(feedback.labels), "held_back": list(feedback.held_back)[:100],
            "forest": feedback.forest is not None,
        }  # fmt: skip
        self._recorder.asked("model.revision", "ostiary", facts)

    def _commitment(self, pseudonym: str) -> str:
        return self._state.vault.commitment(self._state.vault.find(pseudonym))
