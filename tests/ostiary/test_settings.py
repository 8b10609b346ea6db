"""Settings: every problem is told with its file, line and field; nothing unknown passes."""

from pathlib import Path

import pytest

from ostiary.errors import SettingsError
from ostiary.settings import Settings, load, setting_fields, settings_digest, type_text


def problems(text: str, tmp_path: Path, environment: dict[str, str] | None = None) -> list[str]:
    file = tmp_path / "ostiary.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file, environment or {})
    return [line.removeprefix(f"{file}") for line in str(caught.value).splitlines()]


def test_defaults_need_no_file() -> None:
    assert load(None, {}) == Settings()


def test_observe_is_the_default_everywhere() -> None:
    settings = load(None, {})
    assert settings.response.mode == "observe"
    assert settings.gate.mode == "observe"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[risk]\nseed = "x"\n', ":2: risk.seed: input should be a valid integer"),
        ("[risk]\n\nseeds = 3\n", ":3: risk.seeds: there is no such setting"),
        ("[riks]\nseed = 3\n", ":1: riks: there is no such setting"),
        ('[gate]\nmode = "on"\n', ":2: gate.mode: input should be 'observe' or 'enforce'"),
        ('[gate.routes."/a"]\nmode = "observe"\nmod = "x"\n', ":3: gate.routes./a.mod: there is no such setting"),
        ("[response]\nlease_s = -1\n", ":2: response.lease_s: input should be greater than 0"),
        ("[risk\n", ": Expected"),
    ],
)
def test_problems_name_line_and_field(text: str, expected: str, tmp_path: Path) -> None:
    (problem,) = problems(text, tmp_path)
    assert problem.startswith(expected)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    assert len(problems("max_decisions = 0\n[risk]\nseed = -1\n[api]\nport = 3\n", tmp_path)) == 3


def test_environment_wins_and_lists_are_split(tmp_path: Path) -> None:
    file = tmp_path / "ostiary.toml"
    file.write_text("[risk]\nseed = 1\n")
    environment = {"OSTIARY_RISK__SEED": "2", "OSTIARY_RESPONSE__NEVER": "192.0.2.1, 198.51.100.0/24", "HOME": "/"}
    settings = load(file, environment)
    assert settings.risk.seed == 2
    assert settings.response.never == ("192.0.2.1", "198.51.100.0/24")


def test_unknown_environment_is_an_error(tmp_path: Path) -> None:
    (problem,) = problems("", tmp_path, {"OSTIARY_RISK__SEEDS": "2"})
    assert problem == "environment variable OSTIARY_RISK__SEEDS: risk.seeds: there is no such setting"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 0"):
        load(tmp_path / "latin.toml", {})


def test_every_field_has_documentation_and_a_type() -> None:
    for section, name, _, documentation in setting_fields():
        assert documentation.rstrip().endswith("."), (section, name)
        assert type_text(section, name)


def test_digest_follows_what_decides_but_not_where_it_is_stored() -> None:
    base = settings_digest(load(None, {}))
    assert base == settings_digest(load(None, {}, {"state_dir": "/elsewhere"}))
    assert base != settings_digest(load(None, {"OSTIARY_RISK__SEED": "2"}))
