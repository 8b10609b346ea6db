"""The operator's table of countries: which range of addresses is used where.

A CSV file of `first,last,country` or `network,country` a line, as the free tables of DB-IP, IP2Location and the
registries can be had; lines in any order, further columns and a heading allowed, later lines win where ranges overlap
only in being nearer. Looking up costs one search; an address that no range holds is nowhere. Ostiary ships no table.
"""

import csv
import ipaddress
from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path

from ostiary.errors import SettingsError
from risk.behaviours import nowhere

V4_MAPPED = 0xFFFF << 32
LARGEST = 1 << 21
"""Ranges that are read; a table of the whole world has less than half a million."""


def countries(file: str) -> Callable[[str], str]:
    """Return what tells the country (ISO 3166-1 alpha-2, "" for unknown) of an address; raise `SettingsError`.

    An empty name gives one that knows nothing.
    """
    if not file:
        return nowhere
    try:
        with Path(file).open(newline="", encoding="utf-8", errors="replace") as lines:
            ranges = sorted(_ranges(csv.reader(lines), file))
    except OSError as error:
        raise SettingsError(f"risk.countries: {file}: {error.strerror or error}") from error
    firsts = [first for first, _, _ in ranges]

    def where(address: str) -> str:
        number = _number(address)
        place = bisect_right(firsts, number) - 1 if number is not None else -1
        return ranges[place][2] if place >= 0 and number is not None and number <= ranges[place][1] else ""

    return where


def _ranges(rows: Iterable[list[str]], file: str) -> Iterable[tuple[int, int, str]]:
    for line, row in enumerate(rows, 1):
        found = _range(row)
        if found is not None:
            yield found
        elif line > 1 and row:
            raise SettingsError(f"risk.countries: {file}, line {line}: neither first,last,country nor network,country")
        if line > LARGEST:
            raise SettingsError(f"risk.countries: {file} has more than {LARGEST} lines")


def _range(row: list[str]) -> tuple[int, int, str] | None:
    """Return (first, last, country) of a line; None where it is neither form."""
    cells = [cell.strip() for cell in row[:3]]
    try:
        if len(cells) > 1 and "/" in cells[0]:
            network = ipaddress.ip_network(cells[0], strict=False)
            first, last, country = str(network[0]), str(network[-1]), cells[1]
        else:
            first, last, country = cells
    except ValueError:
        return None
    low, high = _number(first), _number(last)
    if low is None or high is None or high < low or len(country) != 2 or not country.isalpha():
        return None
    return low, high, country.upper()


def _number(text: str) -> int | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return V4_MAPPED | int(address) if address.version == 4 else int(address)
