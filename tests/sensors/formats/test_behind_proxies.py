"""The client of a request behind trusted proxies, in each format that keeps the headers; nothing changes without."""

import json
from pathlib import Path

import pytest

from sensors.errors import BadProxyError
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings

NOW = 1_795_600_000_000_000_000
PROXY, CLIENT, CLAIMED = "10.0.0.1", "192.0.2.1", "127.0.0.1"
LIST = f"{CLAIMED}, {CLIENT}"
NGINX = '- - [04/Nov/2026:10:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "agent"'
STAMP = "2026-11-04T10:00:01.310Z"
ENVOY = f'[{STAMP}] "GET / HTTP/2" 204 - 154 0 226 100'
CADDY = {"method": "GET", "uri": "/", "remote_ip": PROXY, "client_ip": CLAIMED, "headers": {"X-Forwarded-For": [LIST]}}
FIELDS = "#Fields: date time c-ip cs-method cs(X-Forwarded-For)"
LINES = {
    "access": f'{PROXY} {NGINX} "{LIST}"',
    "envoy": f'{ENVOY} "{LIST}, {PROXY}" "agent" "-" "www.example.org" "10.1.0.1:80"',
    "w3c": f"{FIELDS}\n2026-11-04 10:00:01 {PROXY} GET {CLAIMED},{CLIENT}",
    "access_json": json.dumps({"ts": 1_793_786_401.5, "status": 200, "request": CADDY}),
    "access_json nginx": json.dumps({
        "time_iso8601": "2026-11-04T10:00:01+00:00", "remote_addr": PROXY, "request_method": "GET",
        "request_uri": "/", "status": "200", "http_x_forwarded_for": LIST,
    }),
    "access_json traefik": json.dumps({
        "ClientHost": PROXY, "RequestMethod": "GET", "RequestPath": "/", "DownstreamStatus": 200, "StartUTC": STAMP,
        "request_X-Forwarded-For": LIST,
    }),
    "access_json envoy": json.dumps({
        "start_time": STAMP, "response_code": 200, "method": "GET", "path": "/",
        "downstream_remote_address": f"{PROXY}:4711", "x_forwarded_for": f"{LIST}, {PROXY}",
    }),
}  # fmt: skip
TODAY = {"access_json": CLAIMED}
"""What the server itself made of the headers."""


def clients(text: str, form: str, folder: Path, *trusted: str) -> set[str]:
    path = folder / "some.log"
    path.write_text(text)
    source = open_source(Input(path, path.name, SensorSettings(trusted_proxies=trusted), NOW), form.split()[0])
    found = [batch.texts[row["orig"]] for batch in source.batches() for rows in batch.tables.values() for row in rows]
    assert not source.counters.malformed
    return {*found}


@pytest.mark.parametrize("form", LINES)
@pytest.mark.parametrize("times", [1, 100])
def test_trusted_proxies_name_the_client(form: str, times: int, tmp_path: Path) -> None:
    text = LINES[form] + "\n" + (LINES[form].rpartition("\n")[2] + "\n") * (times - 1)
    assert clients(text, form, tmp_path, "10.0.0.0/24") == {CLIENT}
    assert clients(text, form, tmp_path, "10.9.0.0/24", "10.0.0.0/24 forwarded") == {TODAY.get(form, PROXY)}
    assert clients(text, form, tmp_path) == {TODAY.get(form, PROXY)}


def test_escaped_quotes_and_lines_without_the_header(tmp_path: Path) -> None:
    odd = NGINX.replace('"agent"', '"an \\"agent\\""')
    text = f'{PROXY} {odd} "{CLIENT}"\n{PROXY} {NGINX} "-"\n{PROXY} {NGINX} 1 "{CLAIMED}" "x"\n'
    assert clients(text, "access", tmp_path, "10.0.0.0/24") == {CLIENT, PROXY}
    assert clients(f"{PROXY} {NGINX}\n", "access", tmp_path, "10.0.0.0/24") == {PROXY}


def test_the_proxy_protocol_by_its_variable_in_nginx(tmp_path: Path) -> None:
    line = LINES["access_json nginx"].replace("http_x_forwarded_for", "proxy_protocol_addr").replace(LIST, CLIENT)
    assert clients(line, "access_json", tmp_path, "10.0.0.0/24 proxy-protocol") == {CLIENT}


def test_a_bad_line_is_told_when_a_log_is_opened(tmp_path: Path) -> None:
    with pytest.raises(BadProxyError):
        clients(LINES["access"], "access", tmp_path, "everybody")
