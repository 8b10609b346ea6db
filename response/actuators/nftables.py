"""Cut single addresses off with nftables, in the current network namespace.

Guarantees: only the table `inet ostiary` is ever touched; the kernel itself ends each lease (elements with a timeout),
so that it ends when we are dead; a change is one transaction, whole or not at all; doing a thing twice is as doing it
once. Packets *from* a blocked address are dropped and counted at `input` and `forward`, before any table of the usual
priority `filter` sees them, connections that exist already included. What we send *to* it is not dropped.

Needs `nft` (1.0 or newer) and CAP_NET_ADMIN. It decides nothing: guards are the caller's work.
"""

import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from response.errors import ActuatorError, CapabilityError, ToolMissingError
from sensors.values import Entity, EntityKind

Command = Mapping[str, Any]  # an object of libnftables-json(5), hence Any

FAMILY, TABLE = "inet", "ostiary"
PRIORITY = -10
"""Before `filter` (0), after conntrack (-200), mangle (-150) and destination NAT (-100)."""

_SETS = (("blocked4", "ipv4_addr", "ip"), ("blocked6", "ipv6_addr", "ip6"))
_CHAINS = ("input", "forward")
_MAX_ELEMENTS = 65_536
_TIMEOUT_S = 5.0
_PLACES = ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft")


def _own(**fields: Any) -> dict[str, Any]:  # JSON values, hence Any
    return {"family": FAMILY, "table": TABLE, **fields}


def _named() -> dict[str, Any]:  # JSON values, hence Any
    return {"family": FAMILY, "name": TABLE}


def _drop(chain: str, protocol: str, name: str) -> Command:
    source = {"payload": {"protocol": protocol, "field": "saddr"}}
    match = {"match": {"op": "==", "left": source, "right": f"@{name}"}}
    return {"add": {"rule": _own(chain=chain, expr=[match, {"counter": None}, {"drop": None}])}}


def _build() -> Iterator[Command]:
    yield {"add": {"table": _named()}}
    for name, kind, _ in _SETS:
        yield {"add": {"set": _own(name=name, type=kind, flags=["timeout"], size=_MAX_ELEMENTS)}}
    for chain in _CHAINS:
        base = _own(name=chain, type="filter", hook=chain, prio=PRIORITY, policy="accept")
        yield {"add": {"chain": base}}
        yield {"flush": {"chain": _own(name=chain)}}
        for name, _, protocol in _SETS:
            yield _drop(chain, protocol, name)


def _element(target: Entity, **fields: Any) -> dict[str, Any]:  # JSON values, hence Any
    name = "blocked6" if ":" in target.id else "blocked4"
    return {"element": _own(name=name, elem=[{"elem": {"val": target.id, **fields}} if fields else target.id])}


def _find_nft() -> str:
    for place in _PLACES:
        if Path(place).is_file():
            return place
    raise ToolMissingError("nft is not installed (Debian: apt install nftables)")


class NftablesActuator:
    """An `Actuator` over nftables."""

    name = "nftables"

    def apply(self, target: Entity, lease_s: float) -> None:
        """Drop packets from `target` for `lease_s` seconds (rounded up to whole ones) from now."""
        seconds = math.ceil(lease_s)
        if seconds <= 0:
            raise ActuatorError("a lease must be longer than 0 s")
        renew = ({"add": _element(target)}, {"delete": _element(target)}, {"add": _element(target, timeout=seconds)})
        self._change([*([] if self._is_built() else _build()), *renew])

    def undo(self, target: Entity) -> bool:
        """Let `target` in again; return whether it was cut off."""
        if all(blocked != target for blocked, _ in self.active()):
            return False
        # Added first, since it may have run out between the look and the deletion, which would then fail.
        self._change([{"add": _element(target)}, {"delete": _element(target)}])
        return True

    def active(self) -> Sequence[tuple[Entity, float]]:
        """Return who is cut off, with the seconds left, by address."""
        found: list[tuple[Entity, float]] = []
        for item in self._listing():
            for element in item.get("set", {}).get("elem", ()):
                inner = element["elem"] if isinstance(element, dict) else {"val": element}
                found.append((Entity(EntityKind.IP, str(inner["val"])), float(inner.get("expires", math.inf))))
        return sorted(found)

    def dropped(self) -> int:
        """Return how many packets were dropped since the table was made."""
        expressions = (e for item in self._listing() for e in item.get("rule", {}).get("expr", ()))
        return sum(int(e["counter"]["packets"]) for e in expressions if isinstance(e.get("counter"), dict))

    def teardown(self) -> None:
        """Remove the table with everything in it."""
        self._change([{"add": {"table": _named()}}, {"delete": {"table": _named()}}])

    def _is_built(self) -> bool:
        chains = [item["rule"]["chain"] for item in self._listing() if "rule" in item]
        return sorted(chains) == sorted(_CHAINS * len(_SETS))

    def _listing(self) -> Sequence[Mapping[str, Any]]:  # JSON values, hence Any
        answer = _nft(["-j", "list", "table", FAMILY, TABLE], absent_is_empty=True)
        items: list[Mapping[str, Any]] = json.loads(answer)["nftables"] if answer else []
        return items

    @staticmethod
    def _change(commands: Sequence[Command]) -> None:
        _nft(["-j", "-f", "-"], json.dumps({"nftables": commands}))


def _nft(arguments: Sequence[str], commands: str = "", *, absent_is_empty: bool = False) -> str:
    try:
        done = subprocess.run(
            [_find_nft(), *arguments], input=commands, capture_output=True, text=True, timeout=_TIMEOUT_S,
            env={"LC_ALL": "C"}, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ActuatorError(f"nft did not end within {_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise ActuatorError(f"nft cannot be run: {error.strerror or error}") from error
    if done.returncode == 0:
        return done.stdout
    if absent_is_empty and "No such file or directory" in done.stderr:
        return ""
    if "not permitted" in done.stderr:
        raise CapabilityError("nftables needs CAP_NET_ADMIN in this network namespace")
    lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
    raise ActuatorError(f"nft: {lines[0]}")
