"""What became of the questions, counted where every process of a gate can add and any of them can tell the sum.

One row of 64-bit numbers a process, in memory that they share (mmap(2), MAP_ANONYMOUS | MAP_SHARED): each writes only
its own row, so nothing is locked, and a process that dies takes no count with it.
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterator

from policy.values import Verdict

BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds, in seconds, of what a decision took."""
GATEWAYS = ("nginx", "forward-auth", "envoy", "envoy-grpc", "haproxy", "authzen")
PLAIN = (
    "questions", "reused", "refused", "over", "shed", "unrecorded", "spilled", "connections", "connections_refused",
    "slow_clients", "bad_http", "restarts", "took_ns", "waiting_records", "risks", "synced_ns", "feed_lost",
    "handed_on", "taken", "bad_pages", "closed", "closings", "closing_ns", "connections_spoe", "bad_spoe",
    "step_ups", "wrong_codes", "logins_refused", "events_taken", "events_again", "events_refused",
)  # fmt: skip
CODES = (
    "gateway", "authzen", "identity", "policy.slow", "policy.evaluation", "policy.unavailable", "policy.answer",
    "policy.document", "policy.revision", "gate.overloaded", "gate.internal", "other",
)  # fmt: skip
CREDENTIALS = (
    "certificate", "certificate-chain", "certificate-missing", "certificate-name", "certificate-revoked",
    "cookie-twice", "crl-old", "key", "revoked", "seal", "seal-size", "session-device", "spiffe", "token-algorithm",
    "token-audience", "token-early", "token-endless", "token-expired", "token-form", "token-issuer", "token-key",
    "token-nameless", "token-signature", "token-type", "other",
)  # fmt: skip
"""Why credentials prove nothing: the codes without `identity.`."""
_NAMES = (
    *PLAIN,
    *(f"{kind}.{verdict.value}" for kind in ("enforced", "observed") for verdict in Verdict),
    *(f"undecided.{code}" for code in CODES),
    *(f"credential.{code}" for code in CREDENTIALS),
    *(f"asked.{gateway}" for gateway in GATEWAYS),
    *(f"took.{number}" for number in range(len(BUCKETS_S) + 1)),
)
_PLACES = {name: place for place, name in enumerate(_NAMES)}


class Counters:
    """The numbers of one process, and the sums of all."""

    def __init__(self, processes: int = 1) -> None:
        """Make room for so many processes; the object is made before they are forked."""
        self._processes = processes
        self._numbers = memoryview(mmap.mmap(-1, 8 * len(_NAMES) * processes)).cast("q")
        self._base = 0

    def belong_to(self, process: int) -> None:
        """Count for one of the processes, 0 being the first."""
        self._base = process * len(_NAMES)

    def add(self, name: str, amount: int = 1) -> None:
        """Add to a number of this process."""
        self._numbers[self._base + _PLACES[name]] += amount

    def put(self, name: str, value: int) -> None:
        """Set a number of this process, where it tells a state."""
        self._numbers[self._base + _PLACES[name]] = value

    def verdict(self, verdict: Verdict, enforced: bool) -> None:
        """Count a decision by what it says, and whether that was enforced or only told."""
        self.add((_ENFORCED if enforced else _OBSERVED)[verdict])

    def undecided(self, code: str) -> None:
        """Count a question without a decision by the code of what went wrong."""
        family = code.partition(".")[0]
        known = code if code in CODES else family if family in CODES else "other"
        self.add(f"undecided.{known}")

    def credential(self, code: str) -> None:
        """Count a credential that proves nothing by the code of why."""
        known = code.removeprefix("identity.")
        self.add(f"credential.{known if known in CREDENTIALS else 'other'}")

    def took(self, seconds: float) -> None:
        """Count what a question took; a clock that was set back makes it no less than nothing."""
        seconds = max(seconds, 0.0)
        self.add(_TOOK[bisect_left(BUCKETS_S, seconds)])
        self.add("took_ns", int(seconds * 1e9))

    def own(self, name: str) -> int:
        """Return a number of this process, and of those before it in its place."""
        return self._numbers[self._base + _PLACES[name]]

    def total(self, name: str) -> int:
        """Return the sum over all processes."""
        return sum(self.each(name))

    def each(self, name: str) -> Iterator[int]:
        """Yield the number of each process."""
        for process in range(self._processes):
            yield self._numbers[process * len(_NAMES) + _PLACES[name]]


_ENFORCED = {verdict: f"enforced.{verdict.value}" for verdict in Verdict}
_OBSERVED = {verdict: f"observed.{verdict.value}" for verdict in Verdict}
_TOOK = tuple(f"took.{number}" for number in range(len(BUCKETS_S) + 1))
