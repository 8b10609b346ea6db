"""Each settings field has a page, each page a field, and what the page says of it is so."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Ge, Gt, Le, Lt

from ostiary.service import BOUND, RELOADABLE
from ostiary.settings import Settings, load, setting_fields, type_text

PAGES = Path(__file__).parents[2] / "docs" / "settings"
FIELDS = {f"{section}.{name}" if section else name: (section, name, default, doc)
          for section, name, default, doc in setting_fields()}  # fmt: skip
BOUNDS = {Ge: ("at least", "ge"), Gt: ("more than", "gt"), Le: ("at most", "le"), Lt: ("less than", "lt")}


def page(field: str) -> str:
    return (PAGES / f"{field}.md").read_text("utf-8")


def fact(field: str, name: str) -> str:
    found = re.findall(rf"^- \*\*{name}:\*\* (.+)$", page(field), re.MULTILINE)
    assert len(found) == 1, f"{field}: one line {name!r}"
    return str(found[0])


def as_toml(value: Any) -> str:
    if isinstance(value, tuple | str):
        return json.dumps(value)
    return "{}" if isinstance(value, Mapping) else str(value)


def bounds(section: str, name: str) -> tuple[Any, ...]:
    """Return the bounds in a field's type."""
    owner: type = type(getattr(Settings(), section)) if section else Settings
    return getattr(get_type_hints(owner, include_extras=True)[name], "__metadata__", ())


def rules(section: str, name: str) -> list[str]:
    """Return how the bounds and choices in a field's type read on its page."""
    owner: type = type(getattr(Settings(), section)) if section else Settings
    hint = get_type_hints(owner, include_extras=True)[name]
    choices = [" or ".join(f'`"{value}"`' for value in get_args(hint))] if get_origin(hint) is Literal else []
    found = [(extra, *BOUNDS[type(extra)]) for extra in bounds(section, name) if type(extra) in BOUNDS]
    return choices + [f"{words} {getattr(extra, attribute)}" for extra, words, attribute in found]


def test_each_field_has_a_page_and_each_page_a_field() -> None:
    assert {item.name for item in PAGES.iterdir()} == {f"{field}.md" for field in FIELDS} | {"index.md"}


@pytest.mark.parametrize("field", FIELDS)
def test_a_page_says_what_the_field_is(field: str) -> None:
    section, name, default, doc = FIELDS[field]
    lines = page(field).splitlines()
    assert lines[:2] == [f"# `{field}`", doc]
    variable = f"OSTIARY_{section}__{name}" if section else f"OSTIARY_{name}"
    assert fact(field, "Environment") == f"`{variable.upper()}`"
    assert fact(field, "Type") == f"`{type_text(section, name)}`"
    assert fact(field, "Default") == f"`{as_toml(default)}`"
    at_once = section in RELOADABLE and field not in BOUND
    assert fact(field, "Takes effect") == ("with SIGHUP, at once" if at_once else "with a restart")
    for rule in rules(section, name):
        assert rule in fact(field, "Allowed")


@pytest.mark.parametrize("field", FIELDS)
def test_a_page_says_when_to_change_it_and_shows_how(field: str, tmp_path: Path) -> None:
    section, name, default, _ = FIELDS[field]
    text = page(field)
    _, explained, changed, example = re.split(r"\n\n(?=[^-\n])", text, maxsplit=3)
    assert len(explained) > 20 and changed.startswith("## When to change it\n") and example.startswith("## Example\n")
    (block,) = re.findall(r"```toml\n(.*?)```", example, re.DOTALL)
    file = tmp_path / "ostiary.toml"
    file.write_text(block)
    settings = load(file, {})
    assert name in block
    value = getattr(getattr(settings, section) if section else settings, name)
    assert value != default or field == "response.actuator", "an example shows something else than the default"


@pytest.mark.parametrize("field", [field for field in FIELDS if not isinstance(FIELDS[field][2], Mapping)])
def test_the_environment_variable_on_the_page_is_the_one_that_is_read(field: str) -> None:
    section, name, _, _ = FIELDS[field]
    variable = fact(field, "Environment").strip("`")
    whole = "7" if any(isinstance(rule, Le) for rule in bounds(section, name)) else "2097152"
    given = {"list of strings": "a,b", "int": whole, "float": "7.5", "str": "/x"}.get(type_text(section, name))
    text = given if given is not None else get_args(get_type_hints(type(getattr(Settings(), section)))[name])[-1]
    settings = load(None, {variable: text})
    value = getattr(getattr(settings, section) if section else settings, name)
    assert as_toml(value) in (text, f'"{text}"', '["a", "b"]')


def test_the_index_lists_each_field_with_its_default() -> None:
    index = (PAGES / "index.md").read_text("utf-8")
    rows = re.findall(r"^\| \[`(.+?)`\]\((.+?)\) \| `(.*?)` \| (.+) \|$", index, re.MULTILINE)
    assert rows == [(field, f"{field}.md", as_toml(default), doc) for field, (_, _, default, doc) in FIELDS.items()]
