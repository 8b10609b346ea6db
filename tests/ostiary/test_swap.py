"""A new bundle takes over while questions come in: none fails, none is decided by half of a bundle."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from ostiary.api.server import serve
from ostiary.gate import Gate
from ostiary.service import _GateInForce
from ostiary.settings import GateSettings
from policy.activation import Activations
from policy.bundles import Bundle, make_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
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

    def gate(self) -> Gate:
        """Return a gate with what is in force on disk, ready to answer."""

        def make() -> Decider:
            found = self.activations.bundle()
            assert found is not None
            return Decider(EmbeddedEngine(found))

        made = Gate(
            make, lambda *_: None, time.time_ns, lambda d, _: self.decisions.append(d), GateSettings(mode="enforce")
        )
        made.prepare()
        return made

    def activate(self, number: int) -> None:
        found = bundle(f"m{number}", number)
        self.marks[found.revision] = f"m{number}"
        self.activations.activate(found, good)

    async def ask(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self.folder / "gate.sock")
        while not self.done.is_set():
            writer.write(QUESTION)
            head = await reader.readuntil(b"\r\n\r\n")
            self.statuses.append(head.split(b" ", 2)[1])
        writer.close()
        await writer.wait_closed()

    async def run(self, swaps: int) -> None:
        self.activate(0)
        force = _GateInForce(self.gate())
        ready, stop = asyncio.Event(), asyncio.Event()
        server = asyncio.create_task(serve(force, f"unix:{self.folder / 'gate.sock'}", ready=ready, stop=stop))
        await ready.wait()
        clients = [asyncio.create_task(self.ask()) for _ in range(CLIENTS)]
        for number in range(1, swaps + 1):
            self.activate(number)
            force.gate = self.gate()
            before = len(self.statuses)
            while len(self.statuses) < before + CLIENTS:
                await asyncio.sleep(0)
        self.done.set()
        await asyncio.gather(*clients)
        stop.set()
        await server


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
