"""The configurations that the command gives: those that lie in deploy/, with addresses put in their places."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ostiary.api.errors import ListenError
from ostiary.cli import cli
from ostiary.cli.gateway import NAMES
from ostiary.gateways import GATEWAYS, GatewayError, configuration

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize("name", GATEWAYS)
def test_what_lies_in_deploy_is_what_the_command_gives(name: str) -> None:
    for file, text in configuration(name).items():
        assert (DEPLOY / GATEWAYS[name].folder / file).read_text() == text


def test_nothing_else_lies_there() -> None:
    assert tuple(GATEWAYS) == NAMES
    for folder in {gateway.folder for gateway in GATEWAYS.values()}:
        given_ = {file for gateway in GATEWAYS.values() if gateway.folder == folder for file in gateway.files}
        assert {file.name for file in (DEPLOY / folder).iterdir()} == given_


@pytest.mark.parametrize("name", GATEWAYS)
@pytest.mark.parametrize("gate", ["127.0.0.1:9999", "[::1]:9999", "unix:/run/x/gate.sock"])
def test_addresses_are_put_in(name: str, gate: str) -> None:
    if name == "traefik" and gate.startswith("unix:"):
        with pytest.raises(GatewayError, match="unix socket"):
            configuration(name, gate)
        return
    before, after = configuration(name), configuration(name, gate, "10.1.2.3:3000", 81)
    changed = [
        (old, new)
        for file, text in before.items()
        for old, new in zip(text.splitlines(), after[file].splitlines(), strict=True)
        if old != new
    ]
    assert 3 <= len(changed) <= 6
    assert any("9999" in new or "/run/x/gate.sock" in new for _, new in changed)
    assert any("10.1.2.3" in new and "3000" in new for _, new in changed)
    assert any("81" in new for _, new in changed)


@given(st.sampled_from(sorted(GATEWAYS)), st.text(max_size=40))
def test_no_address_breaks_out_of_its_place(name: str, text: str) -> None:
    for address in (f"{text}:80", f"unix:/{text}"):
        for arguments in ((address, ""), ("", address)):
            try:
                found = configuration(name, *arguments)
            except (GatewayError, ListenError):
                continue
            lines = {file: len(given_.splitlines()) for file, given_ in found.items()}
            assert lines == {file: len(given_.splitlines()) for file, given_ in configuration(name).items()}
            assert not any(character in text for character in "{}\"'; \n")


def test_the_command_takes_the_gates_address_from_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ostiary.toml").write_text('[gate]\nlisten = "127.0.0.1:8799"\n')
    config = ["--config", str(tmp_path / "ostiary.toml")]
    told = CliRunner().invoke(cli, ["gateway", "config", "nginx", *config])
    assert (told.exit_code, "server 127.0.0.1:8799;" in told.stdout) == (0, True)
    told = CliRunner().invoke(cli, ["gateway", "config", "haproxy", *config])
    assert (told.exit_code, "[gate] spoe is not set" in told.stderr) == (0, True)
    assert [line for line in told.stdout.splitlines() if line.startswith("# ----")] == [
        "# ---- haproxy.cfg", "# ---- ostiary-spoe.conf"
    ]  # fmt: skip


def test_files_are_written_and_none_is_written_over(tmp_path: Path) -> None:
    arguments = ["gateway", "config", "traefik", "--out", str(tmp_path / "out"), "--json"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"traefik.yaml", "dynamic.yaml"}
    (tmp_path / "out" / "traefik.yaml").write_text("mine")
    again = CliRunner().invoke(cli, arguments)
    assert isinstance(again.exception, GatewayError)
    assert (tmp_path / "out" / "traefik.yaml").read_text() == "mine"
