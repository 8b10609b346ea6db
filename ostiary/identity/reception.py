"""What a process of the gate knows of who asks, put together: sources, signals, and the gate's own pages.

Guarantees: what other processes of the gate heard is known here within `POLL_S`, and before the first answer what was
heard before the start; files are read and written in a thread of their own, so that nobody who decides waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ostiary.identity import oidc, page, receiver, stepup
from ostiary.identity.believed import Believed
from ostiary.identity.codes import Codes
from ostiary.identity.journal import Journal
from ostiary.identity.oidc import Logins
from ostiary.identity.receiver import Receiver
from ostiary.identity.stepup import StepUp
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.http import Handler, Request
from ostiary.sidecar.sealed import SealError
from policy.gateways.values import Answer, Question
from policy.identity import Identities
from policy.identity.seals import Seal
from policy.identity.signals import Signals
from policy.identity.values import Signal, SignalKind

JOURNAL = "signals"
POLL_S = 0.25
AT_ONCE = 256
"""Signals taken in between two answers."""


class Reception:
    """Names subjects for a door, by settings that can be replaced."""

    def __init__(
        self, believed: Believed, directory: Path, key: bytes, counters: Counters, revoked: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Read what was heard; raise `SealError` where it cannot be read.

        `revoked` hears the names of users whose proofs count no more.
        """
        self._revoked = revoked
        self.believed, self._say, self._seal = believed, say, Seal(key)
        self.identities = Identities(believed.sources, refused=counters.credential)
        self._thread = ThreadPoolExecutor(1, "journal")
        self._journal = Journal(directory / JOURNAL, key)
        self._step_up = StepUp(self.identities, self._seal, self._change, Codes(directory, key).secret, counters)
        self._receiver = Receiver(self._change, lambda: self.believed.transmitters, counters)
        self._logins = Logins(self._seal, lambda: self.believed.provider, counters)
        self.handlers: dict[str, Handler] = {
            stepup.PATH: self._page, oidc.CALLBACK: self._logins.serve, receiver.PATH: self._event
        }  # fmt: skip
        self._fresh: asyncio.Task[None] | None = None
        self.use(believed)
        self._heard: deque[Signal] = deque()
        """What became known and isn't taken in yet."""
        try:
            for signal in self._journal.poll():
                self.identities.signals.take(signal)
        except OSError as error:
            raise SealError(f"{directory / JOURNAL}: {error.strerror or error}") from error

    def use(self, believed: Believed) -> None:
        """Name subjects by other settings from now on."""
        self.believed, self.identities.sources = believed, believed.sources
        believed.sources.seal = self._seal if believed.settings.step_up != "challenge" else None
        if self._fresh is not None:
            self._fresh.cancel()

    def challenge(self, question: Question, now: int) -> str:
        """Return where to send a browser that has to prove itself anew at `now` (ns); "" where it is only told so."""
        return self._step_up.where(question.back, now / 1e9) if self.identities.sources.seal is not None else ""

    async def run(self) -> None:
        """Keep what subjects are named by fresh until cancelled."""
        listening = asyncio.get_running_loop().create_task(self._listen())
        try:
            while True:
                self._fresh = asyncio.get_running_loop().create_task(self.believed.refresh(self._say))
                await asyncio.wait([self._fresh])
                if not self._fresh.cancelled():
                    self._say(f"identities: {self._fresh.exception()!r}")
                    await asyncio.sleep(1.0)
        finally:
            listening.cancel()
            if self._fresh is not None:
                self._fresh.cancel()

    def close(self) -> None:
        """Let the journal go, after what is under way in its thread."""
        self._thread.shutdown()
        self._journal.close()

    async def _page(self, request: Request) -> Answer:
        if self.identities.sources.seal is None:
            return page.sorry(404, "There is no such page.")
        asked = self._step_up if self.believed.provider is None else self._logins
        return await asked.serve(request)

    async def _event(self, request: Request) -> Answer:
        return await self._receiver.serve(request) if self.believed.transmitters else Answer(404)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        told = ""
        while True:
            try:
                await loop.run_in_executor(self._thread, lambda: self._heard.extend(self._journal.poll()))
                await self._take()
            except OSError as error:
                if told != str(error):
                    told = str(error)
                    self._say(f"what other processes of the gate hear cannot be read: {error}")
            await asyncio.sleep(POLL_S)

    async def _change(self, decide: Callable[[Signals], Iterable[Signal]]) -> None:
        """Have the journal changed; whoever asks for it may be gone before it is."""

        def work() -> None:
            self._heard.extend(self._journal.change(decide))

        await asyncio.get_running_loop().run_in_executor(self._thread, work)
        await self._take()

    async def _take(self) -> None:
        while self._heard:
            for _ in range(min(AT_ONCE, len(self._heard))):
                signal = self._heard.popleft()
                self.identities.signals.take(signal)
                family, _, name = signal.about.partition(":")
                if signal.kind is SignalKind.REVOKED and family == "user":
                    self._revoked(name)
            await asyncio.sleep(0)
