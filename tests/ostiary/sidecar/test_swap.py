"""A new bundle takes over while questions come in: none fails, none is decided by half of a bundle."""

import asyncio
import json
from pathlib import Path

import pytest

from ostiary.settings import GateSettings, Settings
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Door
from ostiary.sidecar.follower import Follower
from ostiary.sidecar.frames import bundle_frame
from ostiary.sidecar.http import Server
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.process import decider_of
from ostiary.sidecar.routes import Routes
from policy.activation import Activations
from policy.bundles import Bundle, make_bundle
from policy.identity import Identities
from policy.judge import Judgement
from policy.values import Decision

SWAPS, CLIENTS = 1_000, 4
QUESTION = (
    b"GET /auth-request HTTP/1.1\r\nHost: x\r\nX-Real-IP: 192.0.2.7\r\n"
    b"X-Original-Method: GET\r\nX-Ostiary-Route: /\r\n\r\n"
)

REGO = """package ostiary

import data.ostiary.config

reasons := [{"code": "rego.%s", "text": ""}, {"code": concat(".", ["data", config.mark]), "text": ""}]

decision := {"verdict": "allow", "reasons": reasons, "obligations": {}, "ttl_s": 0}
"""


def bundle(mark: str, epoch: int) -> Bundle:
    """Return a bundle whose rules and data both say which one it is."""
    files = {
        ".manifest": json.dumps({"roots": ["ostiary"], "metadata": {"epoch": epoch}}).encode(),
        "data.json": json.dumps({"ostiary": {"config": {"mark": mark}}}).encode(),
        "policy.rego": (REGO % mark).encode(),
    }
    return make_bundle(files, Path(mark))


def good(found: Bundle) -> Judgement:
    return Judgement(found.revision, found.epoch, 0, 0, False, ())


class Swapping:
    """A gate on a socket whose bundle is exchanged, and clients that ask it all the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.activations = Activations(folder / "policy")
        self.decisions: list[Decision] = []
        self.statuses: list[bytes] = []
        self.marks: dict[str, str] = {}
        self.done = asyncio.Event()
        routes = Routes(GateSettings(mode="enforce"), "closed")
        self.door = Door(routes, Mirror(), Identities(), self.decisions.append, Counters())
        self.follower = Follower(self.door, decider_of(Settings(state_dir=str(folder))), lambda _: None, print)

    def swap(self, number: int) -> None:
        """Activate a bundle and hand it on as the engine does."""
        found = bundle(f"m{number}", number)
        self.marks[found.revision] = f"m{number}"
        self.activations.activate(found, good)
        read = self.activations.bundle()
        assert read is not None
        told = bundle_frame(read.modules, read.data, read.revision)
        self.follower.take(told[4:5], told[5:])

    async def ask(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self.folder / "gate.sock")
        while not self.done.is_set():
            writer.write(QUESTION)
            head = await reader.readuntil(b"\r\n\r\n")
            self.statuses.append(head.split(b" ", 2)[1])
        writer.close()
        await writer.wait_closed()

    async def run(self, swaps: int) -> None:
        self.swap(0)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Server(self.door, {}), str(self.folder / "gate.sock"))
        clients = [asyncio.create_task(self.ask()) for _ in range(CLIENTS)]
        for number in range(1, swaps + 1):
            self.swap(number)
            before = len(self.statuses)
            while len(self.statuses) < before + CLIENTS:
                await asyncio.sleep(0)
        self.done.set()
        await asyncio.gather(*clients)
        server.close()


@pytest.mark.slow
def test_a_thousand_swaps_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soak: int) -> None:
    monkeypatch.setattr(
        "policy.activation.os.fsync", lambda _: None
    )  # a thousand of them wait for the disk, not for us
    swapping = Swapping(tmp_path)
    asyncio.run(swapping.run(SWAPS * min(soak, 5)))
    assert set(swapping.statuses) == {b"200"}
    assert len(swapping.statuses) >= SWAPS * CLIENTS
    for decision in swapping.decisions:
        mark = swapping.marks[decision.policy_revision]
        assert [reason.code for reason in decision.reasons] == [f"rego.{mark}", f"data.{mark}"]
    assert len({decision.policy_revision for decision in swapping.decisions}) > SWAPS * 0.9
    assert len(list((tmp_path / "policy").glob("*.tar.gz"))) == 2
