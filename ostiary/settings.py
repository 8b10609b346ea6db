"""The settings: one frozen object, read once from `ostiary.toml` and the environment, passed down from here.

The environment wins over the file: `OSTIARY_<FIELD>` or `OSTIARY_<SECTION>__<FIELD>`, lists separated by commas.
Unknown keys are errors, in the file and in the environment. Every problem is told with its file, line and field.
Each field's documentation is its metadata `doc`, and a page in docs/settings/.
"""

import hashlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le

from compliance.settings import ComplianceSettings
from ostiary.errors import SettingsError
from policy.settings import IdentitySettings, PolicySettings
from response.settings import ResponseSettings
from risk.settings import RiskSettings
from sensors.settings import SensorSettings

ENVIRONMENT_PREFIX = "OSTIARY_"
NOT_SETTINGS = {"OSTIARY_CONFIG", "OSTIARY_LABELLED", "OSTIARY_SOAK"}
"""Variables of ours that are no settings: where the file lies, where tests find labelled data, how long they run."""
DEFAULT_FILES = (Path("ostiary.toml"), Path("/etc/ostiary/ostiary.toml"))


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The API for analysts, auditors and operators."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    listen: str = field(
        default="127.0.0.1:8770",
        metadata={
            "doc": "Where the API listens: `host:port` or `unix:/path`. All but loopback and unix sockets needs TLS."
        },
    )
    tls_certificate: str = field(default="", metadata={"doc": "PEM file of the certificate chain; empty means no TLS."})
    tls_key: str = field(default="", metadata={"doc": "PEM file of the private key."})


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What is special about the requests whose path begins with the route's name."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    sensitivity: Literal["public", "normal", "sensitive"] = "normal"
    mode: Literal["observe", "enforce", ""] = ""
    failure: Literal["closed", "open", "last-known", ""] = ""
    critical: bool = False
    """Decided on even while others are shed."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The endpoint that gateways ask."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    listen: str = field(
        default="127.0.0.1:8771",
        metadata={"doc": "Where gateways ask: `host:port` on loopback or `unix:/path`."},
    )
    spoe: str = field(
        default="",
        metadata={"doc": "Where HAProxy asks by SPOE: `host:port` on loopback or `unix:/path`; empty means nowhere."},
    )
    grpc: str = field(
        default="",
        metadata={"doc": "Where Envoy asks by gRPC: `host:port` on loopback or `unix:/path`; empty means nowhere."},
    )
    mode: Literal["observe", "enforce"] = field(
        default="observe",
        metadata={"doc": "`observe` answers every request allow and says what would have been; `enforce` means it."},
    )
    routes: Mapping[str, RouteSettings] = field(
        default_factory=dict,
        metadata={
            "doc": "A table a place that differs (`/path`, `host/path`): `sensitivity`, `mode`, `failure`, `critical`; "
            "the longest prefix wins."
        },
    )
    directory: str = field(
        default="",
        metadata={"doc": "Where gates keep their key, snapshots and spilled records; empty: `gate` in the state dir."},
    )
    processes: Annotated[int, Ge(1), Le(64)] = field(
        default=1, metadata={"doc": "Processes that answer gateways, all at the same address."}
    )
    overload_s: Annotated[float, Gt(0), Le(10)] = field(
        default=0.15,
        metadata={"doc": "When answers are late by so many seconds, only `critical` routes are decided on."},
    )
    traces: str = field(
        default="",
        metadata={
            "doc": "OpenTelemetry collector (`http://host:port`) that is told a span an answer, within the gateway's "
            "traces; empty: none."
        },
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of Ostiary."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    state_dir: str = field(
        default="",
        metadata={
            "doc": "Directory of the store, the audit log, keys and reports; empty means /var/lib/ostiary for root "
            "and $XDG_STATE_HOME/ostiary (or ~/.local/state/ostiary) for others."
        },
    )
    max_decisions: Annotated[int, Ge(1)] = field(
        default=1_000_000,
        metadata={
            "doc": "Decisions kept in the store; beyond it the oldest are pruned and counted. The audit log keeps all."
        },
    )
    sensors: SensorSettings = field(default_factory=SensorSettings)
    risk: RiskSettings = field(default_factory=RiskSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    response: ResponseSettings = field(default_factory=ResponseSettings)
    compliance: ComplianceSettings = field(default_factory=ComplianceSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)

    def gate_path(self) -> Path:
        """Return the directory of the gates, with its default filled in."""
        return Path(self.gate.directory) if self.gate.directory else self.state_path() / "gate"

    def state_path(self) -> Path:
        """Return the state directory, with its default filled in."""
        if self.state_dir:
            return Path(self.state_dir)
        if os.geteuid() == 0:
            return Path("/var/lib/ostiary")
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(base) / "ostiary"


def setting_fields() -> Iterator[tuple[str, str, Any, str]]:
    """Yield (section or "", field, default, documentation) of each setting."""
    root = Settings()
    for top in fields(Settings):
        value = getattr(root, top.name)
        if is_dataclass(value):
            for inner in fields(value):
                yield top.name, inner.name, getattr(value, inner.name), inner.metadata["doc"]
        else:
            yield "", top.name, value, top.metadata["doc"]


def find_file(explicit: str | None) -> Path | None:
    """Return the settings file to read: the named one, $OSTIARY_CONFIG, ./ostiary.toml or /etc/ostiary/ostiary.toml."""
    named = explicit or os.environ.get("OSTIARY_CONFIG")
    if named:
        return Path(named)
    return next((path for path in DEFAULT_FILES if path.is_file()), None)


def load(file: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; raise `SettingsError` that names file, line and field of every problem."""
    text = _read(file) if file else ""
    document = _parse(file, text)
    origins: dict[tuple[str, ...], str] = {}
    for path, value, origin in _from_environment(environment):
        origins[path] = origin
        _insert(document, path, value)
    document.update(overrides or {})
    return _validate(document, file, text, origins)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 at byte {error.start}") from error


def _parse(file: Path | None, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    lists = {(section, name) for section, name, default, _ in setting_fields() if isinstance(default, tuple)}
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NOT_SETTINGS:
            continue
        path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        value: Any = environment[name]
        if path in lists:
            value = [part.strip() for part in value.split(",") if part.strip()]
        yield path, value, f"environment variable {name}"


def _insert(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        inner = document.setdefault(part, {})
        document = inner if isinstance(inner, dict) else {}
    document[path[-1]] = value


def _validate(
    document: Mapping[str, Any], file: Path | None, text: str, origins: Mapping[tuple[str, ...], str]
) -> Settings:
    from pydantic import TypeAdapter, ValidationError  # heavy: only when settings are read

    try:
        return TypeAdapter(Settings).validate_python(document)
    except ValidationError as error:
        problems = [_problem(item, file, text, origins) for item in error.errors(include_url=False)]
    raise SettingsError("\n".join(problems))


def _problem(item: Mapping[str, Any], file: Path | None, text: str, origins: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(str(part) for part in item["loc"])
    unknown = item["type"] in ("unexpected_keyword_argument", "extra_forbidden")
    words = "there is no such setting" if unknown else item["msg"][:1].lower() + item["msg"][1:]
    origin = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), None)
    if origin is None:
        line = _line_of(text, path)
        origin = f"{file}:{line}" if line else str(file)
    return f"{origin}: {'.'.join(path)}: {words}"


def _line_of(text: str, path: tuple[str, ...]) -> int:
    """Return the line (from 1) on which the key or table of `path` stands, else the nearest table, else 0."""
    table: tuple[str, ...] = ()
    nearest = 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.split("#", 1)[0].strip()
        if stripped.startswith("["):
            table = _key(stripped.strip("[]"))
            if path[: len(table)] == table:
                nearest = number
        elif "=" in stripped:
            full = (*table, *_key(stripped.split("=", 1)[0]))
            if full == path[: len(full)]:
                return number
    return nearest


def _key(text: str) -> tuple[str, ...]:
    """Return a dotted TOML key's parts; only used to point at a line, so quoting is taken lightly."""
    return tuple(part.strip().strip("\"'") for part in text.strip().split("."))


def settings_digest(settings: Settings) -> str:
    """Return the SHA-256 of the settings in force, without where they are stored."""
    document = asdict(settings)
    document.pop("state_dir")
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=dict).encode()).hexdigest()


def type_text(section: str, name: str) -> str:
    """Return a field's type as documentation writes it, e.g. `float` or `"observe" | "enforce"`."""
    owner: Any = type(getattr(Settings(), section)) if section else Settings
    hint = get_type_hints(owner)[name]
    if get_origin(hint) is Literal:
        return " | ".join(f'"{value}"' for value in hint.__args__)
    if get_origin(hint) is tuple:
        return "list of strings"
    return "table" if get_origin(hint) is not None else hint.__name__
