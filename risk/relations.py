"""Who belongs to whom, and how much of a risk passes along: a user at an address, a card at an address, a host behind a
gateway.

Guarantees: event time only; bounded (`MAX_EDGES` an entity, `capacity` entities, the oldest given up and counted);
cycles do no harm: what passes is the product of the damping along a path of at most `DEPTH` steps, the largest such
product counts and each factor lies below 1, so nothing comes back larger than it left. Reading changes nothing.

| relation | learnt from | passes | divided by |
|---|---|---|---|
| uses | logins that succeeded, requests of an authenticated user | 0.5 either way | users of the address |
| has | ARP: the card that speaks for an address; leases of DHCP | 0.5 either way | addresses of the card |
| behind | the setting `risk.behind` | 0.2 either way | - |

An address that many use says little about each of them, hence the division. A relation that was not seen for `KEEP_S`
ends. What passes is at most half of the origin's risk: no level above elevated comes from others alone.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from risk.errors import RelationError
from sensors.addresses import host_entity
from sensors.values import AuthOutcome, Entity, EntityKind, Kind, Rows

MAX_EDGES = 16
DEPTH = 2
KEEP_S = 86_400
KEEP_NS = KEEP_S * 1_000_000_000
BUCKET_NS = 600_000_000_000
"""A relation is noted once in so long."""


class Relation(StrEnum):
    """How two entities belong together; the text says it of the one that the risk comes from."""

    USES = "uses"
    HAS = "has"
    BEHIND = "behind"


DAMPING = {Relation.USES: 0.5, Relation.HAS: 0.5, Relation.BEHIND: 0.2}


@dataclass(frozen=True, slots=True)
class Binding:
    """Two entities that an observation shows together: (user, address), (card, address) or (host, gateway)."""

    relation: Relation
    who: Entity
    where: Entity
    ts: int
    """Event time, ns, rounded down to `BUCKET_NS`."""


@dataclass(frozen=True, slots=True)
class Path:
    """A way on which risk reaches an entity."""

    origin: Entity
    relation: Relation
    """The last step."""
    factor: float
    """0..1: what is left of the origin's risk."""


@dataclass(slots=True)
class _Edge:
    relation: Relation
    ts: int
    crowded: bool
    """Whether the entity that holds this edge is the one that others share."""


_Edges = dict[Entity, _Edge]
_Way = tuple[Entity, int, float, Relation | None]
"""(where it began to look, instant, what is left of a risk, the first step's relation)."""


class Relations:
    """The relations of all entities, newest last."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._edges: dict[Entity, dict[Entity, _Edge]] = {}
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._edges)

    def bind(self, binding: Binding) -> None:
        """Note a relation; one that is known is renewed."""
        shared_is_where = binding.relation is Relation.USES
        self._put(binding.who, binding.where, _Edge(binding.relation, binding.ts, not shared_is_where))
        self._put(binding.where, binding.who, _Edge(binding.relation, binding.ts, shared_is_where))

    def paths(self, entity: Entity, at: int) -> list[Path]:
        """Return from where risk reaches an entity at an instant, each origin once, by its strongest path."""
        edges = self._edges.get(entity)
        if edges is None:
            return []
        best: dict[Entity, Path] = {}
        self._walk(best, entity, edges, (entity, at, 1.0, None))
        return list(best.values())

    def around(self, entities: Iterable[Entity], at: int) -> set[Entity]:
        """Return these entities and all that risk of theirs reaches at an instant (ns)."""
        found = set(entities)
        latest = found
        for _ in range(DEPTH):
            latest = {
                other
                for entity in latest
                for other, edge in self._edges.get(entity, {}).items()
                if at - edge.ts <= KEEP_NS
            } - found
            found |= latest
        return found

    def _walk(self, best: dict[Entity, Path], here: Entity, edges: _Edges, way: _Way, depth: int = DEPTH) -> None:
        start, at, left, first = way
        for other, edge in edges.items():
            if other == start or at - edge.ts > KEEP_NS:
                continue
            beyond = self._edges.get(other) or {}
            factor = left * DAMPING[edge.relation] / _crowd(edges if edge.crowded else beyond, edge.relation, at)
            relation = first or edge.relation
            if other not in best or factor > best[other].factor:
                best[other] = Path(other, relation, factor)
            if depth > 1 and len(beyond) > 1:  # one edge only leads back
                self._walk(best, other, beyond, (start, at, factor, relation), depth - 1)

    def _put(self, entity: Entity, other: Entity, edge: _Edge) -> None:
        edges = self._edges.get(entity)
        if edges is None:
            if len(self._edges) >= self._capacity:
                del self._edges[next(iter(self._edges))]
                self.evicted += 1
            edges = self._edges[entity] = {}
        known = edges.get(other)
        if known is not None and known.relation is edge.relation:
            known.ts = max(known.ts, edge.ts)
            return
        edges[other] = edge
        if len(edges) > MAX_EDGES:
            del edges[min(edges, key=lambda name: (edges[name].ts, name))]
            self.evicted += 1


def _crowd(edges: _Edges, relation: Relation, at: int) -> int:
    """Return by how many a shared entity's risk is divided: those that are related to it in the same way."""
    if relation is Relation.BEHIND or len(edges) <= 1:
        return 1
    return max(sum(edge.relation is relation and at - edge.ts <= KEEP_NS for edge in edges.values()), 1)


def bindings(kind: Kind, rows: Rows, texts: Sequence[str]) -> Iterator[tuple[int, Binding]]:
    """Yield (row, binding) of log rows: each pair once in `BUCKET_NS`, at the first row that shows it."""
    match kind:
        case Kind.AUTH:
            chosen, who, relation = rows["outcome"] == AuthOutcome.SUCCESS, "user", Relation.USES
        case Kind.HTTP:
            chosen, who, relation = rows["user"] > 0, "user", Relation.USES
        case Kind.COMMAND:
            chosen, who, relation = _of_protocol(rows, texts, "arp", "dhcp"), "object", Relation.HAS
        case _:
            return
    places = np.flatnonzero(chosen & (rows[who] > 0) & (rows["orig"] > 0))
    buckets = rows["ts"][places] // BUCKET_NS
    keys = np.stack((rows["orig"][places].astype(np.int64), rows[who][places].astype(np.int64), buckets), axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    user_or_card = EntityKind.USER if relation is Relation.USES else EntityKind.DEVICE
    for place in places[np.sort(first)].tolist():
        row = rows[place]
        subject = Entity(user_or_card, texts[int(row[who])])
        since = int(row["ts"]) // BUCKET_NS * BUCKET_NS
        yield place, Binding(relation, subject, host_entity(texts[int(row["orig"])]), since)


def declared(lines: Sequence[str]) -> Callable[[Entity, int], Iterator[Binding]]:
    """Return what binds an address to the gateways of its networks; raise `RelationError` for a line that isn't one.

    A line is "NETWORK GATEWAY", e.g. "10.0.0.0/8 198.51.100.1".
    """
    gateways = [_gateway(line) for line in lines]

    def bind(entity: Entity, ts: int) -> Iterator[Binding]:
        if not gateways or entity.kind is not EntityKind.IP:
            return
        address, since = ipaddress.ip_address(entity.id), ts // BUCKET_NS * BUCKET_NS
        for network, gateway in gateways:
            if address in network and gateway != entity:
                yield Binding(Relation.BEHIND, entity, gateway, since)

    return bind


def _gateway(line: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, Entity]:
    try:
        network, gateway = line.split()
        return ipaddress.ip_network(network), Entity(EntityKind.IP, str(ipaddress.ip_address(gateway)))
    except ValueError as error:
        raise RelationError(f"risk.behind: {line!r} is not a network and the address of its gateway") from error


def _of_protocol(rows: Rows, texts: Sequence[str], *names: str) -> NDArray[np.bool_]:
    codes = [code for code in np.unique(rows["protocol"]).tolist() if texts[code] in names]
    return np.isin(rows["protocol"], codes)
