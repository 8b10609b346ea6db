"""Privileges used by who never used them, or at an hour when that user never works (T1548.003, T1078.003).

Guarantees: only what succeeded counts (what was refused is guessing, see `brute_force`); a user has habits only after
enough days and uses, so the first week of a log tells nothing. Hours are those of the log in UTC, as a ring of 24 with
one hour of grace on either side. The user is blamed: logs of sudo and su name no address.
"""

from collections.abc import Iterator

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from risk.windows.keyed import Distinct, Keyed, Told
from sensors.values import AuthOutcome, Entity, EntityKind, Kind

MAX_KEYS = 1 << 15
RAISING = frozenset(("sudo", "su", "doas", "pkexec", "runas"))
HOUR_NS, DAY_NS = 3_600_000_000_000, 86_400_000_000_000
MEMORY_S = 30 * 86400.0
KNOWN_DAYS, KNOWN_USES = 5, 10

FIRST = Reason("privilege.first", "T1548.003", Weight(0.3), 14400, 1e-2, "a user who became an administrator lately")
HOUR = Reason("privilege.hour", "T1078.003", Weight(0.25), 7200, 2e-2, "an administrator who was called out at night")
STRANGE_ROOT = Reason(
    "privilege.root_login", "T1078.003", Weight(0.35), 7200, 1e-2, "maintenance from another host than usual"
)


class _Habit:
    """When one user logs in and raises privileges."""

    __slots__ = ("days", "hours", "raised", "sources", "told", "uses")

    def __init__(self) -> None:
        self.days: Distinct[int] = Distinct(MEMORY_S, 64)
        self.hours: Distinct[int] = Distinct(MEMORY_S, 24)
        self.sources: Distinct[str] = Distinct(MEMORY_S, 64)
        self.uses = 0
        self.raised = 0
        self.told = Told()

    @property
    def known(self) -> bool:
        """Whether there is enough to speak of habits."""
        return self.uses >= KNOWN_USES and self.days.count.value >= KNOWN_DAYS


class Privileges:
    """Windows of users over logins and raised privileges."""

    def __init__(self) -> None:
        self._habits: Keyed[str, _Habit] = Keyed(MAX_KEYS, _Habit)

    def evicted(self) -> int:
        """Return how many users were forgotten for want of room."""
        return self._habits.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Follow users in order and yield what they show."""
        texts = view.texts
        columns = view.columns("ts", "orig", "user", "service", "outcome", "count")
        for row, (ts, orig, user, service, outcome, count) in enumerate(columns):
            name = texts[user]
            if outcome != AuthOutcome.SUCCESS or not name or not count:
                continue
            habit = self._habits[name]
            raises = texts[service].lower() in RAISING
            yield from _judge(view, row, habit, Entity(EntityKind.USER, name), raises, texts[orig])
            habit.uses += 1
            habit.raised += raises
            habit.days.add(ts, ts // DAY_NS)


def _judge(view: LogView, row: int, habit: _Habit, who: Entity, raises: bool, source: str) -> Iterator[Mark]:
    place, known = view.place(row), habit.known
    hour = place.ts // HOUR_NS % 24
    odd = all(habit.hours.age(place.ts, (hour + step) % 24) is None for step in (-1, 0, 1))
    habit.hours.add(place.ts, hour)
    elsewhere = habit.sources.add(place.ts, source) if source else False
    if not known:
        return
    if raises and not habit.raised and FIRST.due(habit.told, 1.0, place.ts):
        words = (
            who,
            f" used privileges for the first time in {habit.uses} logins over {habit.days.count.value:.0f} days",
        )
        yield Mark(row, FIRST.evidence(who, place, 1, words, [Fact("privilege_first", 1, 0.1)]))
    if raises and odd and HOUR.due(habit.told, 1.0, place.ts):
        words = who, f" used privileges at {hour:02d} h UTC, when this user was never seen within thirty days"
        yield Mark(row, HOUR.evidence(who, place, 1, words, [Fact("privilege_hour", 1, 0.1)]))
    if who.id == "root" and elsewhere and STRANGE_ROOT.due(habit.told, 1.0, place.ts):
        words = who, f" logged in from {source}, from where it never came within thirty days"
        yield Mark(row, STRANGE_ROOT.evidence(who, place, 1, words, [Fact("privilege_root_login", 1, 0.1)]))


BEHAVIOUR = Behaviour("privilege", "Privileges out of pattern", (), {Kind.AUTH: Privileges})
