"""The operator's table of countries: both forms, both families, and tables that are none."""

from pathlib import Path

import pytest

from ostiary.countries import countries
from ostiary.errors import SettingsError

TABLE = """first,last,country
192.0.2.0,192.0.2.127,NL
198.51.100.0/24,us,North America
2001:db8::/32,DE
203.0.113.5,203.0.113.5,fr
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    file = tmp_path / "countries.csv"
    file.write_text(TABLE)
    return str(file)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("192.0.2.0", "NL"), ("192.0.2.127", "NL"), ("192.0.2.128", ""), ("198.51.100.77", "US"), ("203.0.113.5", "FR"),
        ("203.0.113.4", ""), ("2001:db8::1", "DE"), ("2001:db9::1", ""), ("0.0.0.0", ""), ("host.example", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_range_that_holds_an_address_says_where_it_is(table: str, address: str, country: str) -> None:
    assert countries(table)(address) == country


def test_without_a_table_everything_is_nowhere() -> None:
    assert countries("")("192.0.2.1") == ""


@pytest.mark.parametrize(
    "line", ["192.0.2.9,192.0.2.1,NL", "192.0.2.0/24", "a,b,c", "192.0.2.0/99,NL", "192.0.2.1,::1,Q"]
)
def test_a_line_that_is_no_range_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "countries.csv"
    file.write_text(f"192.0.2.0/24,NL\n{line}\n")
    with pytest.raises(SettingsError, match="line 2"):
        countries(str(file))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"risk\.countries"):
        countries(str(tmp_path / "none.csv"))
