"""ARP: one address that two network cards claim in turn (T1557.002), and a search through the local network (T1018).

An address that moves once has a new card, or a stand-by took over; one that goes back and forth is claimed by two at a
time. The card that claims other hosts' addresses is blamed by its own address, where it has one that nobody disputes;
else by its hardware address. A frame that names another card than the one that sent it is forged. Virtual router
addresses (VRRP, HSRP, CARP) may move.
"""

from collections.abc import Iterator

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from risk.windows.keyed import Decayed, Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, EntityKind, Kind

MAX_KEYS = 1 << 15
VIRTUAL = ("00:00:5e:00:01:", "00:00:5e:00:02:", "00:00:0c:07:ac:", "00:00:0c:9f:f")

CLAIMED = Reason(
    "neighbours.claimed", "T1557.002", Weight(0.72, 0.08, 0.92), 3600, 1e-5, "two hosts set to one address"
)
SOUGHT = Reason(
    "neighbours.sought", "T1018", Weight(0.5, 0.25, 0.9), 1800, 1e-4, "a router that was scanned from outside"
)


FORGED = Reason(
    "neighbours.forged", "T1557.002", Weight(0.74, 0.05, 0.9), 3600, 1e-4,
    "a repeater or a bonded interface that speaks for others",
)  # fmt: skip
FORGERIES = 2


class _Address:
    """Who claimed an address lately."""

    __slots__ = ("flips", "owner", "previous")

    def __init__(self) -> None:
        self.owner = self.previous = ""
        self.flips = Decayed(300)


class _Asker:
    """Whom one host looked for."""

    __slots__ = ("forged", "sought", "told")

    def __init__(self) -> None:
        self.forged = Decayed(300)
        self.sought: Distinct[str] = Distinct(60, 512)
        self.told = Told()


class Claims:
    """Windows of addresses and cards over ARP."""

    def __init__(self) -> None:
        self._addresses: Keyed[str, _Address] = Keyed(MAX_KEYS, _Address)
        self._cards: Keyed[str, dict[str, None]] = Keyed(MAX_KEYS, dict)
        self._askers: Keyed[str, _Asker] = Keyed(MAX_KEYS, _Asker)
        self._told: Keyed[str, Told] = Keyed(MAX_KEYS, Told)

    def evicted(self) -> int:
        """Return how many keys were forgotten for want of room."""
        return self._addresses.evicted + self._cards.evicted + self._askers.evicted + self._told.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Judge ARP in order and yield what it shows."""
        texts = view.texts
        for row, (protocol, orig, resp, card, name, size) in enumerate(
            view.columns("protocol", "orig", "resp", "object", "name", "size")
        ):
            if texts[protocol] != "arp" or not texts[orig]:
                continue
            if size == 1:
                yield from self._forged(view, row, texts[orig], texts[card])
            yield from self._claim(view, row, texts[orig], texts[card])
            if texts[name] == "request":
                yield from self._seek(view, row, texts[orig], texts[resp])

    def _claim(self, view: LogView, row: int, claimed: str, card: str) -> Iterator[Mark]:
        if card.startswith(VIRTUAL):
            return
        known = self._addresses[claimed]
        addresses = self._cards[card]
        if len(addresses) < 64:
            addresses.setdefault(claimed)
        if known.owner == card:
            return
        back = known.previous == card
        known.previous, known.owner = known.owner, card
        flips = known.flips.add(view.place(row).ts, float(back))
        if flips >= 1 and CLAIMED.due(self._told[claimed], flips / 1.9, view.place(row).ts):
            who = self._culprit(claimed, known.previous, card)
            words = who, " claims the address of ", host_entity(claimed), f", which changed hands {flips + 1:.0f} times"
            facts = [Fact("claims_300", flips, 0.1)]
            yield Mark(row, CLAIMED.evidence(who, view.place(row), flips / 1.9, words, facts))

    def _forged(self, view: LogView, row: int, claimed: str, card: str) -> Iterator[Mark]:
        asker, place = self._askers[claimed], view.place(row)
        forged = asker.forged.add(place.ts)
        if not card.startswith(VIRTUAL) and FORGED.due(asker.told, forged / (FORGERIES - 0.1), place.ts):
            who = host_entity(claimed)
            words = who, f" is claimed {forged:.0f} times for the card {card} by frames that another card sent"
            facts = [Fact("forged_300", forged, 0.2)]
            yield Mark(row, FORGED.evidence(who, place, forged / (FORGERIES - 0.1), words, facts))

    def _culprit(self, claimed: str, one: str, other: str) -> Entity:
        """Return who of two cards claims what isn't its: the one that has more addresses, by one of its own."""
        card = max((one, other), key=lambda name: (len(self._cards[name]), name))
        own = [name for name in self._cards[card] if name != claimed and not self._addresses[name].previous]
        return host_entity(own[0]) if own else Entity(EntityKind.DEVICE, card)

    def _seek(self, view: LogView, row: int, orig: str, target: str) -> Iterator[Mark]:
        asker, ts = self._askers[orig], view.place(row).ts
        asker.sought.add(ts, target)
        sought = asker.sought.count.value
        if SOUGHT.due(asker.told, sought / 50, ts):
            who = host_entity(orig)
            words = who, f" looked for {sought:.0f} neighbours within a minute"
            yield Mark(row, SOUGHT.evidence(who, view.place(row), sought / 50, words, [Fact("sought_60", sought, 8)]))


BEHAVIOUR = Behaviour("neighbours", "Claims and searches in the local network", (), {Kind.COMMAND: Claims})
