"""From a client's address to the name of its network. The narrowest network wins; an unknown one has no name."""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from policy.errors import IdentityError
from sensors.entities import Entity, EntityKind


class Networks:
    """Names of networks."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """Take names by network in CIDR form; raise `IdentityError`."""
        self._tables: dict[tuple[int, int], dict[int, str]] = {}
        for text, name in names.items():
            try:
                network = ipaddress.ip_network(text)
            except ValueError as error:
                raise IdentityError(f"identity.networks: {text!r} is no network: {error}") from error
            shift = network.max_prefixlen - network.prefixlen
            table = self._tables.setdefault((network.version, shift), {})
            table[int(network.network_address) >> shift] = name
        self._order = sorted(self._tables)
        self._find = lru_cache(65_536)(self._name)

    def name(self, address: Entity) -> str:
        """Return the name of an address's network; "" where it has none."""
        return self._find(address.id) if self._tables and address.kind is EntityKind.IP else ""

    def _name(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return ""
        for version, shift in self._order:  # the longest prefix has the smallest shift
            if version == address.version:
                name = self._tables[version, shift].get(int(address) >> shift)
                if name is not None:
                    return name
        return ""
