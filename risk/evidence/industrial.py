"""Commands to field devices over Modbus: writes by who isn't a master, and searches through units and functions.

A device that is asked by others and then gives orders itself has been turned (T0855 unauthorised command message); many
units, or functions that nobody uses in operation, are a search (T0846). Masters that write are known by having read
before. Sources: MITRE ATT&CK for ICS, Modbus Application Protocol 1.1b3.
"""

from collections.abc import Iterator

import numpy as np

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight, place_of
from risk.windows import FlowView
from risk.windows.keyed import Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, FlowEvent, Kind

MAX_KEYS = 1 << 15
TCP, MODBUS_PORT, FEW_ANSWERS = 6, 502, 3
COMMON = frozenset((1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43))

TURNED = Reason("industrial.turned", "T0855", Weight(0.78), 7200, 1e-5, "a gateway that is master and slave by design")
STRANGER = Reason(
    "industrial.stranger", "T0855", Weight(0.45), 3600, 1e-3, "an engineer who commissions the plant", 0.7
)
ODD = Reason("industrial.odd", "T0846", Weight(0.4, 0.2, 0.85), 3600, 1e-3, "a tool of the vendor")
UNITS = Reason("industrial.units", "T0846", Weight(0.6, 0.2, 0.9), 3600, 1e-4, "a gateway with many devices behind it")


STRAYED = Reason(
    "industrial.strayed", "T0867", Weight(0.74), 7200, 1e-5, "a second protocol of the vendor between its own devices"
)
FIELD_PORTS = (
    102,
    502,
    1089,
    1090,
    1091,
    1883,
    2222,
    2404,
    4000,
    4840,
    8883,
    9600,
    18245,
    20000,
    34962,
    34963,
    34964,
    44818,
    47808,
)
"""Protocols of plants: S7, Modbus, Foundation, MQTT, EtherNet/IP, IEC 104, OPC UA, FINS, DNP3, PROFINET, BACnet."""
OUTSIDE_PLANT = (
    *FIELD_PORTS,
    22,
    53,
    67,
    68,
    80,
    123,
    135,
    137,
    138,
    139,
    161,
    162,
    389,
    443,
    445,
    514,
    1433,
    3306,
    3389,
    5432,
)


class _Device:
    """Since when a host answers as a field device, and what was told of it."""

    __slots__ = ("answers", "told")

    def __init__(self) -> None:
        self.answers = 0
        self.told = Told()


class Talks:
    """Windows of field devices over flows: whom they talk to beside the protocol they are there for."""

    def __init__(self) -> None:
        self._devices: Keyed[tuple[int, int], _Device] = Keyed(MAX_KEYS, _Device)

    def evicted(self) -> int:
        """Return how many devices were forgotten for want of room."""
        return self._devices.evicted

    def watch(self, view: FlowView) -> Iterator[Mark]:
        """Take note of who answers Modbus, and yield talk of two such devices by a protocol of no plant."""
        rows = view.rows
        ended = (rows["event"] & FlowEvent.END != 0) & (rows["proto"] == TCP) & (rows["resp_bytes"] > 0)
        asked = ended & (rows["resp_port"] == MODBUS_PORT)
        other = ended & (rows["orig_bytes"] > 0) & ~np.isin(rows["resp_port"], OUTSIDE_PLANT)
        if not len(self._devices) and not asked.any():
            return
        for row in np.flatnonzero(asked | other).tolist():
            record = rows[row]
            resp = int(record["resp_hi"]), int(record["resp_lo"])
            if asked[row]:
                self._devices[resp].answers += 1
                continue
            orig = int(record["orig_hi"]), int(record["orig_lo"])
            if orig in self._devices and resp in self._devices and self._devices[orig].answers >= FEW_ANSWERS:
                yield from _strayed(view, row, self._devices[orig])


def _strayed(view: FlowView, row: int, device: _Device) -> Iterator[Mark]:
    place, port = place_of(view, row), int(view.rows[row]["resp_port"])
    if STRAYED.due(device.told, 1.0, place.ts):
        who = view.orig(row)
        words = who, " is a field device, and talked to another one, ", view.resp(row), f", by port {port}"
        yield Mark(row, STRAYED.evidence(who, place, 1, words, [Fact("industrial_strayed", 1, 0.05)]))


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


BEHAVIOUR = Behaviour("industrial", "Orders to field devices", (), {Kind.COMMAND: Orders}, (Talks,))
