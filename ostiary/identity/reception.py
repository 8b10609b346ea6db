"""What a process of the gate knows of who asks, put together."""

import asyncio
from collections.abc import Callable

from ostiary.identity.believed import Believed
from ostiary.sidecar.counters import Counters
from policy.identity import Identities


class Reception:
    """Names subjects for a door, by settings that can be replaced."""

    def __init__(self, believed: Believed, counters: Counters, say: Callable[[str], None]) -> None:
        self.believed, self._say = believed, say
        self.identities = Identities(believed.sources, refused=counters.credential)
        self._fresh: asyncio.Task[None] | None = None

    def use(self, believed: Believed) -> None:
        """Name subjects by other settings from now on."""
        self.believed, self.identities.sources = believed, believed.sources
        if self._fresh is not None:
            self._fresh.cancel()

    async def run(self) -> None:
        """Keep what subjects are named by fresh until cancelled."""
        try:
            while True:
                self._fresh = asyncio.get_running_loop().create_task(self.believed.refresh(self._say))
                await asyncio.wait([self._fresh])
                if not self._fresh.cancelled():
                    self._say(f"identities: {self._fresh.exception()!r}")
                    await asyncio.sleep(1.0)
        finally:
            if self._fresh is not None:
                self._fresh.cancel()
