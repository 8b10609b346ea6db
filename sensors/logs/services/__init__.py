r"""Messages of services about authentication, as data: `*.toml` in this folder, one table a service.

    [gitea]
    programs = ["gitea"]                # its names in syslog, lower case
    shapes = ['^\d{4}/\d\d/\d\d ']      # what lines of its own log file look like; not needed for syslog alone
    failure = ['Failed authentication attempt for (?P<user>.*) from {client}']

The lists `failure`, `invalid-user`, `probe` and `success` hold expressions with the groups of `sensors.logs.rules`;
`client` holds those that only name the client of a `session`. `{ip}` stands for an address, `{client}` for one with or
without brackets and port. A service that logs JSON has, instead, the tables of `json`:

    [nextcloud.json]
    has = ["reqId", "remoteAddr"]       # keys (a.b for b inside a) by which its lines are known
    time = "time"
    failure = [{ message = '^Login failed: (?P<user>.*)$', remoteAddr = '^{client}$' }]

where a rule fits when all its expressions do; `only` holds expressions that fit all lines of the service. A list
`alert` makes alerts, with the groups `signature`, `category`, `resp` and `severity` (1 to 6, 6 the worst). The method
of a login is `password` unless `method` or a group says otherwise.
The data are part of the product: a mistake in them raises ValueError when they are loaded, and a test loads them.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sensors.logs.rules import FAILURE, INVALID, PROBE, SUCCESS, TOLD, Rule
from sensors.values import AuthOutcome

_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_GROUP = "[0-9A-Fa-f]{1,4}"
_IPV6 = (
    rf"(?:{_GROUP}:){{7}}{_GROUP}"
    rf"|(?:{_GROUP}(?::{_GROUP}){{0,6}})?::(?:(?:{_GROUP}:){{0,5}}{_IPV4}|{_GROUP}(?::{_GROUP}){{0,6}})?"
)
ADDRESS = rf"(?P<orig>{_IPV4}|{_IPV6})"
CLIENT = rf"\[?{ADDRESS}(?:%\w+)?\]?(?:[:#/]\d{{1,5}})?"
_OUTCOMES: Mapping[str, AuthOutcome | None] = {
    "success": SUCCESS,
    "invalid-user": INVALID,
    "failure": FAILURE,
    "probe": PROBE,
    "client": None,
}


@dataclass(frozen=True, slots=True)
class JsonRule:
    """What a JSON line means whose values (by path) fit these expressions."""

    outcome: AuthOutcome | None
    """None: it is an alert."""
    method: str
    expressions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class JsonService:
    """A service whose log has one JSON object a line."""

    name: str
    has: tuple[str, ...]
    only: tuple[tuple[str, str], ...]
    time: str
    rules: tuple[JsonRule, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A service whose log is text."""

    name: str
    programs: tuple[str, ...]
    shapes: tuple[str, ...]
    rules: tuple[Rule, ...]


@cache
def services() -> tuple[Service, ...]:
    """Return the services that log text, in the order of the files."""
    return tuple(_service(name, table) for name, table in _tables() if len(table.keys() - {"json"}))


@cache
def json_services() -> tuple[JsonService, ...]:
    """Return the services that log JSON, in the order of the files."""
    return tuple(_json_service(name, table["json"]) for name, table in _tables() if "json" in table)


def _tables() -> Iterator[tuple[str, dict[str, Any]]]:  # Any: TOML; `_strings` checks what is taken out
    for path in sorted(files(__name__).iterdir(), key=lambda path: path.name):
        if path.name.endswith(".toml"):
            yield from tomllib.loads(path.read_text("utf-8")).items()


def _service(name: str, table: dict[str, Any]) -> Service:
    known = {"programs", "shapes", "method", "json", *_OUTCOMES}
    if unknown := table.keys() - known:
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}")
    method = str(table.get("method", "password"))
    rules = [
        Rule(outcome, TOLD, "" if outcome is PROBE else method, _written_out(expression))
        for key, outcome in _OUTCOMES.items()
        for expression in _strings(name, table.get(key, []))
    ]
    shapes = tuple(_written_out(shape) for shape in _strings(name, table.get("shapes", [])))
    return Service(name, _strings(name, table.get("programs", [])), shapes, tuple(rules))


def _json_service(name: str, table: dict[str, Any]) -> JsonService:
    if unknown := table.keys() - {"has", "only", "time", "method", "alert", *_OUTCOMES}:
        raise ValueError(f"{name}.json: unknown keys {sorted(unknown)}")
    method = str(table.get("method", "password"))
    rules = [
        JsonRule(
            outcome,
            "" if outcome is PROBE else method,
            _expressions(rule),
        )
        for key, outcome in ({"alert": None} | dict(_OUTCOMES)).items()
        if key != "client"
        for rule in table.get(key, [])
    ]
    has, only = _strings(name, table["has"]), _expressions(table.get("only", {}))
    return JsonService(name, has, only, str(table["time"]), tuple(rules))


def _expressions(table: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((path, _written_out(text)) for path, text in table.items())


def _strings(name: str, values: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name}: a list of texts is needed")
    return tuple(values)


def _written_out(expression: str) -> str:
    return expression.replace("{client}", CLIENT).replace("{ip}", ADDRESS)
