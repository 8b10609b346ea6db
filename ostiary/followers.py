"""What follows the record of decisions at its own pace: the history in files, and those whom decisions are told.

Guarantees: nobody who decides or records waits for it; what fails is tried again, said once, and said when it is over;
at the end everything that is left gets one more try. A follower keeps its own place, so that nothing is left out while
the store still has it.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ostiary.deciding import policy_bundle
from ostiary.errors import TellingError
from ostiary.settings import Settings
from ostiary.state import STORE
from ostiary.store import Reader
from ostiary.store.segments import Segments
from ostiary.telling import Tell, destination, make_tell
from policy.masking import Masks

HISTORY, TOLD = "decisions", "told"

ROWS = 10_000
"""Decisions in a file, at most."""
WAIT_S = 600.0
"""How long the first decision of a file waits for the others, at most."""
IDLE_S = 2.0
LONGEST_PAUSE_S = 60.0
LAST_TRY_S = 30.0


class Work(Protocol):
    """What a follower does."""

    def step(self, ending: bool) -> bool:
        """Do a part and tell whether there is more; `ending` says that this is the end."""
        ...

    def close(self) -> None:
        """Let go of what the work holds, in the thread that did it."""
        ...


class Follower(threading.Thread):
    """Does a step again and again until it is told that this is the end."""

    def __init__(self, name: str, work: "Work", say: Callable[[str], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.work, self._say = work, say
        self._woken, self._ending = threading.Event(), threading.Event()
        self.failing = ""
        """What is wrong now; "" while nothing is."""

    def wake(self) -> None:
        """Let it look now rather than soon."""
        self._woken.set()

    def finish(self, timeout_s: float) -> None:
        """Let it do what is left, once, and wait for it; without having been started, it does that here."""
        self._ending.set()
        self._woken.set()
        if self.ident is None:
            self.run()
        else:
            self.join(timeout_s)

    def run(self) -> None:
        """Follow."""
        pause = IDLE_S
        while True:
            self._woken.wait(pause)
            self._woken.clear()
            ending = self._ending.is_set()
            pause = IDLE_S if self._try(ending) else min(pause * 2, LONGEST_PAUSE_S)
            if ending:
                self.work.close()
                return

    def _try(self, ending: bool) -> bool:
        try:
            while self.work.step(ending):
                pass
        except Exception as error:  # noqa: BLE001 - whatever broke, it is tried again
            if not self.failing:
                self._say(f"{self.name}: {error}; it is tried again")
            self.failing = str(error) or type(error).__name__
            return False
        if self.failing:
            self._say(f"{self.name}: it works again")
        self.failing = ""
        return True


@dataclass(slots=True)
class History:
    """Writes the store's decisions out as files, by day."""

    store: Reader
    segments: Segments
    keep_days: int
    clock: Callable[[], int]
    say: Callable[[str], None]
    _since: float | None = None

    def step(self, ending: bool) -> bool:
        """Write one part, where there is enough of it or it has waited long enough."""
        found = self.store.archive(self._last(), ROWS)
        if not found:
            return False
        if len(found) < ROWS and not ending and not self._waited():
            return False
        self._since = None
        before = self.segments.exported().missing
        missing = self.segments.write(found).missing - before
        if missing:
            self.say(f"history of decisions: {missing:,} were pruned from the store before they were written out")
        self.segments.forget(self.clock(), self.keep_days)
        return len(found) == ROWS

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _last(self) -> int:
        """Return the number of the newest decision in a file; 0 where the store was begun anew since."""
        last = self.segments.exported().last
        return last if last <= self.store.numbers()[1] else 0

    def _waited(self) -> bool:
        self._since = time.monotonic() if self._since is None else self._since
        return time.monotonic() - self._since >= WAIT_S


@dataclass(slots=True)
class Telling:
    """Tells somebody the decisions, in order, and keeps the place up to which that was done."""

    store: Reader
    place: Path
    """File with the number of the last decision that was told."""
    make: Callable[[], Tell]
    """Makes what tells, in the thread that will use it."""
    say: Callable[[str], None]
    most: int = 500
    _tell: Tell | None = None
    _stale: bool = False

    def renew(self) -> None:
        """Use the masks of the policy that is in force now, from the next part on."""
        self._stale = True  # the masks belong to the thread that made them: it lets go of them, too

    def close(self) -> None:
        """Close the store and let go of the masks."""
        self._tell = None
        self.store.close()

    def step(self, ending: bool) -> bool:
        """Tell one part."""
        last = self._last()
        found = self.store.archive(last, self.most)
        if not found:
            return False
        if self._tell is None or self._stale:
            self._tell, self._stale = None, False
            self._tell = self.make()
        self._tell(found)
        if found[0].number > last + 1:
            self.say(f"{found[0].number - last - 1:,} decisions were pruned from the store before they could be told")
        self.place.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = self.place.with_suffix(".new")
        temporary.write_text(str(found[-1].number), encoding="ascii")
        temporary.replace(self.place)
        return len(found) == self.most

    def _last(self) -> int:
        try:
            last = int(self.place.read_text(encoding="ascii"))
        except FileNotFoundError:
            first, newest = self.store.numbers()
            return first - 1 if newest else 0
        except ValueError as error:
            raise TellingError(f"{self.place} is damaged: remove it to tell everything again") from error
        return last if last <= self.store.numbers()[1] else 0


class Followers:
    """All who follow the record of one state directory."""

    def __init__(self, settings: Settings, clock: Callable[[], int], say: Callable[[str], None]) -> None:
        """Make ready; raise `SettingsError` for somebody who cannot be told."""
        state = settings.state_path()
        self._settings = settings
        works: dict[str, Work] = {
            "history": History(
                Reader.open(state / STORE), Segments(state / HISTORY), settings.policy.log_days, clock, say
            )
        }
        for where in settings.policy.log_to:
            destination(where)
            place = state / TOLD / hashlib.sha256(where.encode()).hexdigest()[:16]
            works[where] = Telling(Reader.open(state / STORE), place, lambda where=where: self._make(where), say)  # type: ignore[misc]  # bound now
        self._all = [Follower(name, work, say) for name, work in works.items()]

    def start(self) -> None:
        """Follow from now on."""
        for follower in self._all:
            follower.start()

    def renew(self, settings: Settings) -> None:
        """Mask by the policy that is in force now."""
        self._settings = settings
        for follower in self._all:
            if isinstance(follower.work, Telling):
                follower.work.renew()

    def finish(self, timeout_s: float = LAST_TRY_S) -> None:
        """Do what is left, once; each has so long."""
        for follower in self._all:
            follower.finish(timeout_s)

    def failing(self) -> dict[str, str]:
        """Return what is wrong, by the name of who cannot do its work."""
        return {follower.name: follower.failing for follower in self._all if follower.failing}

    def _make(self, where: str) -> Tell:
        return make_tell(where, Masks(policy_bundle(self._settings)))
