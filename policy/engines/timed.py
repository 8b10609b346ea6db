"""The embedded engine for a process that somebody starts again: the kernel ends it should a decision take too long.

Guarantees: no evaluation holds the process longer than `limit_s`: SIGALRM, as it is by default, ends the process
whatever native code is running (setitimer(2)). So a policy that loops costs the questions under way, and whoever
supervises starts a fresh process. Costs two system calls a question; `policy.engines.apart` spares the process, for the
price of a change of process each time.
"""

import signal
from collections.abc import Mapping
from typing import Any

from policy.bundles import Bundle
from policy.engines.embedded import EmbeddedEngine, read_decision


class TimedEngine(EmbeddedEngine):
    """A `PolicyEngine` that ends its process rather than being late."""

    def __init__(self, bundle: Bundle, limit_s: float) -> None:
        """Compile a bundle; raise `BundleError`. Takes over SIGALRM."""
        super().__init__(bundle)
        self._limit_s = limit_s
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def evaluate_json(self, question: str) -> Mapping[str, Any]:
        """Return the value of `data.ostiary.decision`; raise `EvaluationError`, or end the process."""
        signal.setitimer(signal.ITIMER_REAL, self._limit_s)
        try:
            text = self.evaluate_text(question)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return read_decision(text)
