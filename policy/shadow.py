"""A second policy beside the one that decides, to learn what it would have said.

Guarantees: the decision is the active policy's, to the byte, whatever the shadow does: its answer is carried beside it,
and its failure is an answer, too. Which subjects are chosen depends on the subject alone, so that the same ones are
always compared. Takes as long as an evaluation does, in the thread that decides; it cannot be interrupted. No clock.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from policy.decide import Decider, checked_answer
from policy.errors import PolicyError
from policy.values import AccessRequest, Decision, PolicyEngine, ShadowAnswer
from risk.values import Assessment

_PARTS = 1 << 32


@dataclass(frozen=True, slots=True)
class Scope:
    """Which requests the shadow is asked about, too."""

    percent: float = 100.0
    """Of the subjects, 0 to 100."""
    route: str = ""
    """Only resources whose name begins so."""

    def holds(self, request: AccessRequest) -> bool:
        """Tell whether a request is chosen."""
        if not request.resource.name.startswith(self.route):
            return False
        if self.percent >= 100:
            return True
        entity = request.subject.entity
        name = f"shadow\0{entity.kind}\0{entity.id}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(name).digest()[:4]) < self.percent / 100 * _PARTS


@dataclass(slots=True)
class Missing:
    """A shadow that could not be made: it fails on every question, and says why."""

    kind: type[PolicyError]
    text: str
    name: str = "missing"
    revision: str = ""

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raise why there is none."""
        raise self.kind(self.text)  # a fresh one: an error that is raised twice keeps every frame that it passed


class ShadowedDecider(Decider):
    """A `Decider` that puts what a second engine says beside its decisions."""

    def __init__(self, engine: PolicyEngine, shadow: PolicyEngine, scope: Scope) -> None:
        super().__init__(engine)
        self._shadow, self._scope = shadow, scope

    def decide(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        """Return the active policy's decision; raise `PolicyError` where that has none."""
        return self._with_shadow(request, super().decide(request, assessment))

    async def decide_async(self, request: AccessRequest, assessment: Assessment | None) -> Decision:
        """Return the same while others go on; the shadow is in process all the same."""
        return self._with_shadow(request, await super().decide_async(request, assessment))

    def _with_shadow(self, request: AccessRequest, decision: Decision) -> Decision:
        return replace(decision, shadow=self._asked(decision.document)) if self._scope.holds(request) else decision

    def _asked(self, document: Mapping[str, Any]) -> ShadowAnswer:
        try:
            answer = checked_answer(self._shadow.evaluate(document))
        except Exception as error:  # noqa: BLE001 - whatever breaks in the shadow must not reach the decision
            code = error.code if isinstance(error, PolicyError) else "policy.error"
            return ShadowAnswer(self._shadow.revision, "", code)
        because = answer["reasons"][0]["code"] if answer["reasons"] else ""
        return ShadowAnswer(self._shadow.revision, answer["verdict"], because)
