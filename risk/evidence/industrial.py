"""Commands to field devices over Modbus: writes by who isn't a master, and searches through units and functions.

A device that is asked by others and then gives orders itself has been turned (T0855 unauthorised command message); many
units, or functions that nobody uses in operation, are a search (T0846). Masters that write are known by having read
before. Sources: MITRE ATT&CK for ICS, Modbus Application Protocol 1.1b3.
"""

from collections.abc import Iterator

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from risk.windows.keyed import Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, Kind

MAX_KEYS = 1 << 15
COMMON = frozenset((1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43))

TURNED = Reason("industrial.turned", "T0855", Weight(0.78), 7200, 1e-5, "a gateway that is master and slave by design")
STRANGER = Reason(
    "industrial.stranger", "T0855", Weight(0.45), 3600, 1e-3, "an engineer who commissions the plant", 0.7
)
ODD = Reason("industrial.odd", "T0846", Weight(0.4, 0.2, 0.85), 3600, 1e-3, "a tool of the vendor")
UNITS = Reason("industrial.units", "T0846", Weight(0.6, 0.2, 0.9), 3600, 1e-4, "a gateway with many devices behind it")


class _Host:
    """What one host asked, and whether it is asked itself."""

    __slots__ = ("asked", "odd", "reads", "told", "units")

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.reads: set[str] = set()
        self.odd: Distinct[int] = Distinct(600)
        self.units: Distinct[str] = Distinct(60)
        self.told = Told()


class Orders:
    """Windows of hosts over Modbus requests."""

    def __init__(self) -> None:
        self._hosts: Keyed[str, _Host] = Keyed(MAX_KEYS, _Host)

    def evicted(self) -> int:
        """Return how many hosts were forgotten for want of room."""
        return self._hosts.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Judge requests in order and yield what they show."""
        texts = view.texts
        columns = view.columns("protocol", "orig", "resp", "object", "name", "code")
        for row, (protocol, orig, resp, unit, name, code) in enumerate(columns):
            if texts[protocol] != "modbus" or not texts[orig]:
                continue
            host, device = self._hosts[texts[orig]], self._hosts[texts[resp]]
            if len(device.asked) < 8:
                device.asked.add(texts[orig])
            yield from _wrote(view, row, host, texts[orig], texts[resp], texts[name])
            yield from _searched(view, row, host, texts[orig], texts[resp], texts[unit], code)


def _wrote(view: LogView, row: int, host: _Host, orig: str, resp: str, name: str) -> Iterator[Mark]:
    if name == "read":
        if len(host.reads) < 256:
            host.reads.add(resp)
        return
    if name != "write":
        return
    ts = view.place(row).ts
    if host.asked - {orig} and TURNED.due(host.told, 1.0, ts):
        yield _mark(view, row, TURNED, orig, resp, " is a device that others ask, and gives orders to ", 1)
    elif resp not in host.reads and not host.asked and STRANGER.due(host.told, 1.0, ts):
        yield _mark(view, row, STRANGER, orig, resp, " gives orders without ever having read anything of ", 1)


def _searched(view: LogView, row: int, host: _Host, orig: str, resp: str, unit: str, code: int) -> Iterator[Mark]:
    ts = view.place(row).ts
    host.units.add(ts, f"{resp} {unit}")
    units = host.units.count.value
    if UNITS.due(host.told, units / 24, ts):
        yield _mark(
            view, row, UNITS, orig, resp, f" tried {units:.0f} units within a minute, the latest at ", units / 24
        )
    if code & 0x7F not in COMMON:
        host.odd.add(ts, code)
        odd = host.odd.count.value
        if ODD.due(host.told, odd, ts):
            yield _mark(view, row, ODD, orig, resp, f" called {odd:.0f} unusual functions of ", odd)


def _mark(view: LogView, row: int, reason: Reason, orig: str, resp: str, what: str, strength: float) -> Mark:
    who: Entity = host_entity(orig)
    facts = [Fact(reason.code.replace(".", "_"), strength, 0.1)]
    return Mark(row, reason.evidence(who, view.place(row), strength, (who, what, host_entity(resp)), facts))


BEHAVIOUR = Behaviour("industrial", "Orders to field devices", (), {Kind.COMMAND: Orders})
