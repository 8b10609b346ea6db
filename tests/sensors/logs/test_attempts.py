"""An attempt told by several lines counts once; the table of processes is bounded."""

from sensors.logs.attempts import MAX_PROCESSES, QUIET_NS, Attempts
from sensors.logs.rules import ANNOUNCED, BY_PAM, SUMMED_UP, TOLD
from sensors.values import AuthOutcome

FAILURE, PROBE = AuthOutcome.FAILURE, AuthOutcome.PROBE


def counts(attempts: Attempts, stages: list[tuple[int, int]], client: bytes = b"a", ts: int = 0) -> list[int]:
    out = []
    for stage, count in stages:
        attempts.meet(b"sshd[1", client, ts)
        out.append(attempts.settle(b"sshd[1", FAILURE, stage, count)[1])
    return out


def test_later_stages_tell_the_same_attempt() -> None:
    assert counts(Attempts(), [(ANNOUNCED, 1), (BY_PAM, 1), (TOLD, 1), (TOLD, 1), (SUMMED_UP, 1)]) == [1, 0, 0, 1, 0]


def test_a_repeated_line_completes_the_first() -> None:
    assert counts(Attempts(), [(BY_PAM, 1), (TOLD, 5)]) == [1, 4]


def test_a_summary_counts_what_was_not_told() -> None:
    assert counts(Attempts(), [(BY_PAM, 1), (SUMMED_UP, 3), (SUMMED_UP, 3)]) == [1, 2, 0]


def test_another_client_or_a_long_pause_is_another_process() -> None:
    attempts = Attempts()
    assert counts(attempts, [(TOLD, 1)]) == [1]
    assert counts(attempts, [(SUMMED_UP, 1)], client=b"b") == [1]
    assert counts(attempts, [(SUMMED_UP, 1)], client=b"b", ts=QUIET_NS + 1) == [1]


def test_the_client_may_be_told_later() -> None:
    attempts = Attempts()
    assert attempts.meet(b"p", b"", 0) == b""
    attempts.postpone(b"p", FAILURE)
    assert attempts.meet(b"p", b"a", 1) == b"a"
    assert attempts.settle(b"p", PROBE, SUMMED_UP, 1) == (FAILURE, 1)
    assert attempts.meet(b"p", b"", 2) == b"a"


def test_the_table_is_bounded() -> None:
    attempts = Attempts()
    for number in range(3 * MAX_PROCESSES):
        attempts.meet(b"%d" % number, b"a", 0)
    assert len(attempts._processes) == MAX_PROCESSES
