"""Count an attempt once, though several lines of one process tell it.

sshd with PAM writes up to four lines for one wrong password. A line whose stage is later than that of the line before
it belongs to the same attempt and counts 0; one at the same stage or an earlier one begins the next attempt. A summary
gives a total: it counts what earlier lines didn't. A refused key of a user who exists counts 0: clients offer all keys
that they have, and one that then leaves hasn't probed either. A process is known by program and process id, and is
another one when its client changes or 10 minutes pass. The newest 4,096 are remembered; forgetting one at worst counts
an attempt twice.
"""

from collections import OrderedDict
from dataclasses import dataclass

from sensors.logs.builder import BatchBuilder
from sensors.logs.rules import SUMMED_UP, Rule
from sensors.logs.time import SECOND
from sensors.values import AuthOutcome

MAX_PROCESSES = 4096
QUIET_NS = 600 * SECOND


@dataclass(slots=True)
class _Process:
    ts: int
    client: bytes = b""
    stage: int = 0
    told: int = 0
    """Attempts counted so far."""
    keys: int = 0
    """Keys of a user who exists that were refused."""
    untold: AuthOutcome | None = None
    """How an attempt ended whose lines didn't name the client yet."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Whoever wrote a line."""

    ts: int
    seq: int
    service: bytes
    session: bytes = b""
    """Which process or connection of the service; "" where the line doesn't say."""
    host: bytes = b""


class Attempts:
    """What the lines of recent processes said."""

    def __init__(self) -> None:
        self._processes: OrderedDict[bytes, _Process] = OrderedDict()

    def tell(self, teller: Teller, rule: Rule, fields: dict[str, bytes], times: int, out: BatchBuilder) -> None:
        """Add the row of a line that a rule fits and that was written `times` times, if there is anything to tell."""
        client, process = fields.get("orig", b""), b"%b[%b" % (teller.service, teller.session)
        if teller.session:
            client = self.meet(process, client, teller.ts)
        if rule.outcome is None:
            return
        outcome = AuthOutcome.INVALID_USER if fields.get("invalid") else rule.outcome
        if not client and not rule.local:
            if teller.session:
                self.postpone(process, outcome)
            return
        method = fields.get("method", b"").lower() or rule.method.encode()
        count = _count(fields) * times
        if method == b"none":
            count = 0
        elif method == b"publickey" and outcome is AuthOutcome.FAILURE:
            count = 0
            if teller.session:
                self._processes[process].keys += 1
        elif teller.session:
            outcome, count = self.settle(process, outcome, rule.stage, count)
        out.auth(
            teller.ts, teller.seq, outcome, orig=client, resp=teller.host,
            user=fields.get("user") or fields.get("ruser", b""), service=teller.service, method=method, count=count,
        )  # fmt: skip

    def meet(self, process: bytes, client: bytes, ts: int) -> bytes:
        """Take note of a line of a process; return its client, which an earlier line may have told."""
        state = self._processes.get(process)
        known = state is not None and abs(ts - state.ts) <= QUIET_NS and client in (b"", state.client or client)
        if state is None or not known:
            state = self._processes[process] = _Process(ts)
            if len(self._processes) > MAX_PROCESSES:
                self._processes.popitem(last=False)
        state.ts, state.client = ts, client or state.client
        return state.client

    def postpone(self, process: bytes, outcome: AuthOutcome) -> None:
        """Remember an attempt of a process whose client isn't known yet."""
        self._processes[process].untold = outcome

    def settle(self, process: bytes, outcome: AuthOutcome, stage: int, count: int) -> tuple[AuthOutcome, int]:
        """Return the outcome of a line and how many new attempts it stands for; for a summary `count` is the total."""
        state = self._processes[process]
        if state.untold is not None:
            outcome, state.untold = state.untold, None
        if stage == SUMMED_UP:
            new = max(0, count - state.told - (state.keys if outcome is AuthOutcome.PROBE else 0))
        else:
            new = count - 1 if 0 < state.stage < stage else count
            state.stage = stage
        state.told += new
        return outcome, new


def _count(fields: dict[str, bytes]) -> int:
    if more := fields.get("more"):
        return int(more) + 1
    return int(fields.get("count") or 1)
