"""A filled store, a token a role, and a client that speaks to the application without a socket."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ostiary.api.access import Role
from ostiary.api.app import create_app
from ostiary.api.door import Door
from ostiary.api.errors import RefusedError
from ostiary.api.tokens import Tokens
from ostiary.api.views import LabelOrder, ReadingOrder
from ostiary.store import ActionRecord, DecisionRecord, EntityRecord, LabelRecord, RunRecord, Store

PLAIN = {"ip-aa11": "203.0.113.7", "user-bb22": "mallory@example.org"}


@dataclass
class World:
    """Everything behind the API, and what was asked of its ports."""

    store: Store
    tokens: Tokens
    secrets: dict[str, str]
    health: dict[str, Any] = field(default_factory=lambda: {"status": "ok"})
    asked: list[tuple[str, ...]] = field(default_factory=list)
    checkpoint: str | None = "ostiary.local/audit\n12\nabc=\n"

    def undo(self, action_id: str, actor: str) -> ActionRecord | None:
        self.asked.append(("undo", action_id, actor))
        found = self.store.action(action_id)
        if found is not None and found.state == "expired":
            raise RefusedError("it has ended already")
        return found and replace(found, state="undone")

    def reveal(self, pseudonym: str, purpose: str, actor: str) -> str | None:
        self.asked.append(("reveal", pseudonym, purpose, actor))
        return PLAIN.get(pseudonym)

    def note(self, order: ReadingOrder, actor: str) -> int:
        self.asked.append(("note", order.what, order.about, order.purpose, *order.subjects, actor))
        return sum(subject in PLAIN for subject in order.subjects)

    def label(self, order: LabelOrder, actor: str) -> LabelRecord | None:
        self.asked.append(("label", order.subject, order.verdict, order.note, actor))
        if self.store.entity(order.subject) is None:
            return None
        label = LabelRecord("label-2", 5, 6, order.subject, order.verdict == "malicious", True, (), order.note, actor)
        self.store.put_label(label)
        return label

    def withdraw(self, label_id: str, actor: str) -> LabelRecord | None:
        self.asked.append(("withdraw", label_id, actor))
        found = self.store.label(label_id)
        return found and replace(found, withdrawn_ns=9, withdrawn_by=actor)

    def app(self) -> Door:
        return create_app(
            self.store, self.tokens, lambda: self.health,
            checkpoint=lambda: self.checkpoint, undo=self.undo, reveal=self.reveal, note=self.note,
            live={"forecast": lambda: {"workers": 1}, "model": lambda: {"revision": "abc"}},
            label=self.label, withdraw=self.withdraw,
            push=lambda name, body, packed: 1 if name == "shop" else None,
        )  # fmt: skip


class Client:
    """Sends one request at a time to the application."""

    def __init__(self, app: Door, secrets: dict[str, str]) -> None:
        self._app = app
        self._secrets = secrets

    def __call__(self, method: str, path: str, role: str | None = "analyst", **rest: Any) -> httpx.Response:
        headers = dict(rest.pop("headers", {}))
        if role is not None:
            headers.setdefault("Authorization", f"Bearer {self._secrets.get(role, role)}")
        return asyncio.run(self._send(method, path, headers, rest))

    async def _send(self, method: str, path: str, headers: dict[str, str], rest: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ostiary") as client:
            return await client.request(method, path, headers=headers, **rest)


def fill(store: Store) -> None:
    """Put in a run with two entities, three decisions and two actions."""
    store.begin_run(RunRecord("run-1", 1, "run", ({"format": "pcap", "read": 3},)))
    store.put_entities(
        EntityRecord(
            "run-1", name, kind, 5, risk, "high", 0.7, 600.0, ("beacon.regular", "scan.vertical"),
            (f"{name} calls every 10 s", f"{name} tried 100 ports"),
            {"beacon.regular": 0.2, "scan.vertical": 0.5}, "deny",
        )
        for name, kind, risk in (("ip-aa11", "ip", 0.7), ("user-bb22", "user", 0.3))
    )  # fmt: skip
    store.put_decisions(
        DecisionRecord(
            f"{n:032x}", "run-1", n, ("ip-aa11", "user-bb22")[n % 2], ("deny", "allow")[n % 2],
            (("risk.high", "risk is high"),), {"retry_after_s": 30}, 60.0, "p", "m", "d" * 64,
            {"subject": {"id": ("ip-aa11", "user-bb22")[n % 2]}}, "scan.vertical", "ip-aa11 tried 100 ports", "T1046",
            "a", n,
        )
        for n in range(3)
    )  # fmt: skip
    store.put_actions(
        ActionRecord(
            f"act-{state}", "run-1", f"{0:032x}", "nftables", "ip-aa11", 9, 600.0, state, "risk", "nobody", "u"
        )
        for state in ("active", "expired")
    )

    store.put_label(
        LabelRecord("label-1", 5, 6, "user-bb22", False, True, (("scan.vertical", 0.5, ()),), "our scanner", "analyst")
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all tests that only ask; those that change it make their own by `make_world`."""
    with build(tmp_path_factory.mktemp("world")) as (_, found):
        yield found


class build:  # noqa: N801 - reads as the function that it is
    """Make a world in a folder, and close it at the end."""

    def __init__(self, folder: Path) -> None:
        self._store = Store.create(folder / "store.sqlite")
        fill(self._store)
        tokens = Tokens(folder / "tokens.json")
        secrets = {role.value: tokens.create(role.value, [role], 1) for role in Role}
        secrets["revoked"] = tokens.create("revoked", list(Role), 1)
        tokens.revoke("revoked", 2)
        self.world = World(self._store, tokens, secrets)

    def __enter__(self) -> tuple[Store, World]:
        return self._store, self.world

    def __exit__(self, *_: object) -> None:
        self._store.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[World]:
    with build(tmp_path) as (_, found):
        yield found


@pytest.fixture(scope="session")
def client(world: World) -> Client:
    return Client(world.app(), world.secrets)


@pytest.fixture
def client_of() -> Callable[[World], Client]:
    return lambda world: Client(world.app(), world.secrets)


@pytest.fixture(scope="session")
def plain_words() -> tuple[str, ...]:
    """What must never appear in an answer but that of `reveal`."""
    return tuple(PLAIN.values())
