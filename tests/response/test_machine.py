"""Facts about the machine, from what `ip` and the resolver's files say."""

import json
from pathlib import Path

import pytest

from response.errors import MachineFactsError
from response.guards import NeverList, single_address
from response.machine import facts, never_list

VECTORS = Path(__file__).parents[1] / "vectors" / "response"


def load(name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((VECTORS / name).read_text())
    return found


def test_own_addresses_gateways_and_dns_servers_are_protected() -> None:
    resolver = (VECTORS / "resolv.conf").read_text()
    protected = facts(load("ip-addr.json"), load("ip-route.json"), [resolver, ""])
    never = NeverList(protected)
    cases: dict[str, str | None] = json.loads((VECTORS / "protected.json").read_text())
    for text, why in cases.items():
        address = single_address(text)
        assert address is not None
        assert never.why(address) == why, text


@pytest.mark.parametrize("links", [[{"addr_info": [{}]}], [{"addr_info": 3}], [3], [{"addr_info": [{"local": "x"}]}]])
def test_strange_answers_are_typed_errors(links: list[dict[str, object]]) -> None:
    with pytest.raises(MachineFactsError):
        facts(links, [], [])


def test_this_machine_spares_itself() -> None:
    listed = never_list(["198.51.100.0/24"])
    for text in ("127.0.0.1", "::1", "198.51.100.9"):
        address = single_address(text)
        assert address is not None and listed.why(address)


def test_a_wrong_exemption_is_a_typed_error() -> None:
    with pytest.raises(MachineFactsError, match=r"response\.never"):
        never_list(["nowhere"])
