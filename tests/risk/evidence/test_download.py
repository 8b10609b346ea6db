"""Downloads, pages and certificates, each with its innocent twin."""

from typing import Any

import pytest

from sensors.values import Kind

CLIENT, SERVER = "10.0.0.5", "93.184.216.34"


def _file(**fields: Any) -> dict[str, Any]:
    line = {"at": 0, "orig": CLIENT, "resp": SERVER, "resp_port": 80, "host": "files.example", "path": "/a"}
    return {**line, "mime": "application/octet-stream", **fields}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"magic": "pe", "mime": "image/png"}, "download.mislabelled"),
        ({"magic": "elf", "path": "/logo.gif?x=1"}, "download.mislabelled"),
        ({"magic": "pe", "host": "93.184.216.34:8080"}, "download.by_address"),
        ({"magic": "pe", "host": "", "path": "", "mime": ""}, "download.staged"),
        ({"marks": "code object"}, "download.attack_page"),
        ({"marks": "code spray"}, "download.attack_page"),
        ({"marks": "object overlong"}, "download.attack_page"),
        ({"marks": "object path"}, "download.writing_page"),
    ],
)
def test_the_server_that_sends_it_is_blamed(world: Any, fields: dict[str, Any], reason: str) -> None:
    world.read(Kind.FILE, [_file(**fields)])
    assert reason in world.reasons()
    assert world.worst(SERVER) >= 0.7
    assert world.worst(CLIENT) <= 0.5


@pytest.mark.parametrize(
    "fields",
    [
        {"magic": "pe"}, {"magic": "pe", "mime": "application/x-msdownload"}, {"magic": "script", "mime": "text/plain"},
        {"magic": "pe", "host": "ftp", "path": "", "mime": ""}, {"marks": "object"}, {"marks": "code"},
        {"marks": "path run"},
        {"magic": "zip"},
    ],
)  # fmt: skip
def test_what_many_servers_send_blocks_nobody(world: Any, fields: dict[str, Any]) -> None:
    world.read(Kind.FILE, [_file(**fields)] * 20)
    assert max(world.worst(SERVER), world.worst(CLIENT)) < 0.7


def _tls(**fields: Any) -> dict[str, Any]:
    placeholder = "C=GB,O=Global Security,CN=example.com"
    line = {"at": 30, "orig": CLIENT, "resp": "138.1.2.3", "resp_port": 443, "version": "TLSv12"}
    return {**line, "subject": placeholder, "issuer": placeholder, **fields}


def test_a_program_fetched_and_a_certificate_that_names_nobody(world: Any) -> None:
    world.read(Kind.FILE, [_file(magic="pe")])
    world.read(Kind.TLS, [_tls()])
    assert "certificate.placeholder" in world.reasons()
    assert world.worst(CLIENT) >= 0.7


@pytest.mark.parametrize(
    "fields", [{"sni": "a.example"}, {"resp": "10.0.0.9"}, {"issuer": "O=An authority"}, {"subject": "", "issuer": ""}]
)
def test_certificates_that_say_nothing(world: Any, fields: dict[str, Any]) -> None:
    world.read(Kind.TLS, [_tls(**fields)])
    assert world.findings == []
