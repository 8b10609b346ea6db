"""Guessing of passwords: by one source, over many users, over many sources, and as it shows in flows (T1110).

Every failed attempt that a log reports is small evidence of its own; a source that fails on is guessing. On flows only
the form is visible: many short, small, similar conversations of one source with one login port.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, Fact, FlowRule, LogView, Mark, Place, Reason, Weight
from risk.windows import FlowView
from risk.windows.keyed import Decayed, Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import AuthOutcome, Entity, EntityKind, Kind, Service

MAX_KEYS = 1 << 16
NAME = "brute_force"
LOGIN_PORTS = (21, 22, 23, 110, 143, 993, 995, 1433, 2222, 2323, 3306, 3389, 5432, 5900)
POOLED_PORTS = (1433, 3306, 5432)
"""Databases, whose programs may rightly connect for each request."""
DIRECTORY_PORTS = (88, 135, 139, 389, 445, 464, 636, 5985)
"""Logins and directories of Windows domains."""
PATIENT_S, EVEN = 4.0, 0.35
LET_IN = (3200, 3000)
"""Bytes from client and server of the shortest ssh session that did something."""
WEB_PORTS = (53, 80, 443, 853, 3128, 8000, 8080, 8443)
LOGIN_SERVICES = tuple(
    int(service)
    for service in (
        Service.SSH, Service.FTP, Service.TELNET, Service.RDP, Service.IMAP, Service.POP3, Service.MYSQL,
        Service.POSTGRESQL,
    )
)  # fmt: skip

FORGOT = "somebody who forgot a password, or a program that kept an old one"
ATTEMPTS = {
    AuthOutcome.FAILURE: (
        Reason("auth.failure", "T1110", Weight(0.07), 900, 0.05, FORGOT, 0.45, NAME),
        "failed to log in",
    ),
    AuthOutcome.INVALID_USER: (
        Reason("auth.invalid_user", "T1110", Weight(0.09), 900, 0.02, "a mistyped user name", 0.45, NAME),
        "tried a user that doesn't exist",
    ),
    AuthOutcome.PROBE: (
        Reason("auth.probe", "T1595", Weight(0.05), 900, 0.05, "a health check or an interrupted login", 0.3, NAME),
        "left before it tried to log in",
    ),
}
GUESSING = Reason("brute_force.password", "T1110.001", Weight(0.69, 0.27, 0.93), 3600, 1e-3, FORGOT)
ENUMERATION = Reason(
    "brute_force.enumeration", "T1110.003", Weight(0.6, 0.27, 0.92), 3600, 1e-3,
    "a migration whose users don't exist on the new server yet",
)  # fmt: skip
SPRAYING = Reason(
    "brute_force.spraying", "T1110.003", Weight(0.5, 0.25, 0.92), 3600, 1e-3,
    "a shared address behind which many users mistype",
)  # fmt: skip
DISTRIBUTED = Reason(
    "brute_force.distributed", "T1110.004", Weight(0.25, 0.05, 0.4), 3600, 1e-2,
    "one person who moves between networks with an old password",
)  # fmt: skip
STUFFING = Reason(
    "brute_force.stuffing", "T1110.004", Weight(0.6, 0.2, 0.92), 3600, 1e-3,
    "an office behind one address on the morning after all passwords changed",
)  # fmt: skip
BROKEN_IN = Reason("brute_force.success", "T1078", Weight(0.8, 0.05, 0.95), 7200, 1e-4, FORGOT)
TAKEN_OVER = Reason(
    "brute_force.taken_over", "T1078", Weight(0.45), 7200, 1e-3, "the user who remembered the password at last"
)


class _Attacker:
    """What one source did lately."""

    __slots__ = ("failures", "invalid", "let_in", "patient", "told", "users")

    def __init__(self) -> None:
        self.let_in: Distinct[str] = Distinct(3600)
        self.failures = Decayed(600)
        self.patient = Decayed(7200)
        self.users: Distinct[str] = Distinct(600)
        self.invalid: Distinct[str] = Distinct(600)
        self.told = Told()


class _Target:
    """From where one user was tried lately."""

    __slots__ = ("sources",)

    def __init__(self) -> None:
        self.sources: Distinct[str] = Distinct(600)


class Attempts:
    """Windows of sources and users over the attempts to authenticate that logs report."""

    def __init__(self) -> None:
        self._sources: Keyed[Entity, _Attacker] = Keyed(MAX_KEYS, _Attacker)
        self._users: Keyed[str, _Target] = Keyed(MAX_KEYS, _Target)

    def evicted(self) -> int:
        """Return how many sources and users were forgotten for want of room."""
        return self._sources.evicted + self._users.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Count attempts in order and yield what they show."""
        columns = view.columns("orig", "user", "outcome", "count", "method")
        for row, (orig, user_code, outcome, count, method) in enumerate(columns):
            user = view.texts[user_code]
            culprit = _culprit(view.texts[orig], user)
            if culprit is None:
                continue
            attacker = self._sources[culprit]
            if outcome == AuthOutcome.SUCCESS:
                attacker.let_in.add(int(view.rows["ts"][row]), user)
                yield from _broken_in(view.place(row), row, attacker, culprit, user)
                yield from _stuffing(view.place(row), row, attacker, culprit)
                continue
            place = view.place(row)
            yield _attempt(place, row, culprit, user, AuthOutcome(outcome), count)
            offered = outcome == AuthOutcome.FAILURE and view.texts[method] == "publickey"  # clients offer every key
            if count and outcome != AuthOutcome.PROBE and not offered:
                yield from _guesses(place, row, attacker, culprit, user, outcome, count)
                yield from self._spread(place, row, attacker, culprit, user)
                yield from _stuffing(place, row, attacker, culprit)

    def _spread(self, place: Place, row: int, attacker: _Attacker, culprit: Entity, user: str) -> Iterator[Mark]:
        if not user or culprit.kind is EntityKind.USER:
            return
        target = self._users[user]
        new = target.sources.add(place.ts, culprit.id)
        strength = target.sources.count.value / 6
        if new and DISTRIBUTED.due(attacker.told, strength, place.ts):
            name = Entity(EntityKind.USER, user)
            words = culprit, f" is one of {6 * strength:.0f} sources that failed within ten minutes to log in as ", name
            facts = [Fact("sources_of_user_600", 6 * strength, 2)]
            yield Mark(row, DISTRIBUTED.evidence(culprit, place, strength, words, facts))


def _culprit(orig: str, user: str) -> Entity | None:
    """Return who made an attempt: the client, or the user where the log names no client (su, sudo, console)."""
    if orig:
        return host_entity(orig)
    return Entity(EntityKind.USER, user) if user else None


def _named(user: str) -> Sequence[str | Entity]:
    return (" as ", Entity(EntityKind.USER, user)) if user else ()


def _attempt(place: Place, row: int, culprit: Entity, user: str, outcome: AuthOutcome, count: int) -> Mark:
    reason, what = ATTEMPTS[outcome]
    times = f" {count} times" if count > 1 else ""
    named = () if culprit.kind is EntityKind.USER else _named(user)
    words = culprit, f" {what}{times}", *named
    evidence = reason.evidence(culprit, place, 1, words, [Fact("attempts", count, 1)], count)
    # a line that tells an attempt again is shown, but adds nothing
    return Mark(row, evidence if count else replace(evidence, weight=0.0))


def _guesses(
    place: Place, row: int, attacker: _Attacker, culprit: Entity, user: str, outcome: int, count: int
) -> Iterator[Mark]:
    failures = attacker.failures.add(place.ts, count)
    patient = attacker.patient.add(place.ts, count)
    facts = [Fact("failures_600", failures, 2), Fact("failures_7200", patient, 4)]
    strength = max(failures / 4.9, patient / 12)
    if GUESSING.due(attacker.told, strength, place.ts):
        words = culprit, f" failed to log in {failures:.0f} times within ten minutes, {patient:.0f} within two hours"
        yield Mark(row, GUESSING.evidence(culprit, place, strength, words, facts, round(patient)))
    attacker.users.add(place.ts, user)
    users = attacker.users.count.value
    if SPRAYING.due(attacker.told, users / 5, place.ts):
        words = culprit, f" tried {users:.0f} users within ten minutes"
        yield Mark(row, SPRAYING.evidence(culprit, place, users / 5, words, [Fact("users_600", users, 1), *facts]))
    if outcome == AuthOutcome.INVALID_USER:
        attacker.invalid.add(place.ts, user)
        invalid = attacker.invalid.count.value
        if ENUMERATION.due(attacker.told, invalid / 3.9, place.ts):
            words = culprit, f" tried {invalid:.0f} users that don't exist within ten minutes"
            facts = [Fact("invalid_users_600", invalid, 1), *facts]
            yield Mark(row, ENUMERATION.evidence(culprit, place, invalid / 3.9, words, facts))


def _broken_in(place: Place, row: int, attacker: _Attacker, culprit: Entity, user: str) -> Iterator[Mark]:
    failures = attacker.failures.add(place.ts, 0)
    if not BROKEN_IN.due(attacker.told, failures / 8, place.ts):
        return
    facts = [Fact("failures_600", failures, 2)]
    words = culprit, f" logged in after {failures:.0f} failures within ten minutes", *_named(user)
    yield Mark(row, BROKEN_IN.evidence(culprit, place, failures / 8, words, facts, round(failures) + 1))
    if user and culprit.kind is not EntityKind.USER:
        name = Entity(EntityKind.USER, user)
        told = name, " was logged in by ", culprit, f" after {failures:.0f} failures within ten minutes"
        yield Mark(row, TAKEN_OVER.evidence(name, place, 1, told, facts))


def _stuffing(place: Place, row: int, attacker: _Attacker, culprit: Entity) -> Iterator[Mark]:
    """Yield that many users were tried about once each, few of whom got in: a stolen list of names and passwords."""
    if not attacker.users.count.value:
        return
    users, failures = attacker.users.count.add(place.ts, 0), attacker.failures.add(place.ts, 0)
    let_in = attacker.let_in.count.add(place.ts, 0)
    if not 0.5 <= let_in < 0.3 * users or failures > 2 * users:
        return
    if STUFFING.due(attacker.told, users / 8, place.ts):
        words = culprit, f" tried {users:.0f} users about once each within ten minutes; {let_in:.0f} got in"
        facts = [Fact("users_600", users, 1), Fact("let_in_3600", let_in, 1)]
        yield Mark(row, STUFFING.evidence(culprit, place, users / 8, words, facts, round(failures + let_in)))


def _logins(view: FlowView) -> NDArray[np.float32]:
    rows = view.rows
    login = np.isin(rows["resp_port"], LOGIN_PORTS) | np.isin(rows["service"], LOGIN_SERVICES)
    needed = np.where(np.isin(rows["resp_port"], POOLED_PORTS), 60, 6)
    alike = (rows["proto"] == 6) & login & (view.feature("ch_size_cv") < 1)
    # A program that looks for mail comes at an even pace and one at a time; who guesses doesn't wait, or works in rows.
    paced = (view.feature("ch_gap") >= PATIENT_S) & (view.feature("ch_gap_cv") <= EVEN)
    alike &= ~paced | (view.feature("ch_short_60") > 1 + 72 / np.maximum(view.feature("ch_gap"), 1))
    # Even with the largest key exchanges in use, who was refused by sshd took less than this.
    alike &= (rows["service"] != Service.SSH) | (rows["orig_bytes"] < LET_IN[0]) | (rows["resp_bytes"] < LET_IN[1])
    short = np.maximum(view.feature("ch_short_60") / needed, view.feature("ch_short_600") / (6 * needed))
    return np.where(alike, short, 0).astype(np.float32)


def _hammering(view: FlowView) -> NDArray[np.float32]:
    rows = view.rows
    other = (rows["proto"] == 6) & ~np.isin(rows["resp_port"], (*LOGIN_PORTS, *WEB_PORTS))
    alike = other & (view.feature("ch_size_cv") < 0.8)
    return np.where(alike, view.feature("ch_short_60") / 40, 0).astype(np.float32)


def _directory(view: FlowView) -> NDArray[np.float32]:
    return np.where(np.isin(view.rows["resp_port"], DIRECTORY_PORTS), _hammering(view), 0).astype(np.float32)


def _hammer_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    many, port = view.value(row, "ch_short_60"), int(view.rows[row]["resp_port"])
    what = f" held {many:.0f} short conversations of like size with port {port} of "
    return view.orig(row), what, view.resp(row), " within a minute"


def _login_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    many, spread = view.value(row, "ch_short_600"), view.value(row, "ch_size_cv")
    port = int(view.rows[row]["resp_port"])
    what = f" held {many:.0f} short conversations of like size (spread {spread:.2f}) with login port {port} of "
    return view.orig(row), what, view.resp(row), " within ten minutes"


BEHAVIOUR = Behaviour(
    "brute_force",
    "Guessing of passwords",
    (
        FlowRule(
            Reason(
                "brute_force.logins", "T1110", Weight(0.6, 0.25, 0.9), 3600, 1e-3,
                "automation that logs in for each of many short tasks",
            ),
            _logins,
            (("ch_short_60", 2), ("ch_short_600", 4), ("ch_count_600", 6)),
            _login_words,
        ),
        FlowRule(
            Reason(
                "brute_force.hammering", "T1110", Weight(0.3, 0.1, 0.55), 1800, 1e-2,
                "a program that connects anew for each request",
            ),
            _hammering,
            (("ch_short_60", 10), ("ch_count_600", 20)),
            _hammer_words,
        ),
        FlowRule(
            Reason(
                "brute_force.directory", "T1110", Weight(0.5, 0.12, 0.85), 1800, 1e-3,
                "an inventory of a Windows domain",
            ),
            _directory,
            (("ch_short_60", 10), ("ch_count_600", 20)),
            _hammer_words,
        ),
    ),
    {Kind.AUTH: Attempts},
)  # fmt: skip
