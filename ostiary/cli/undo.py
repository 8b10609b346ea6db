"""`ostiary undo`: undo an action of the running service, by its API."""

import http.client
import json
import socket
import ssl
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings
from ostiary.errors import NotFoundError, StateError
from ostiary.settings import ApiSettings

TIMEOUT_S = 15.0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


@click.command()
@click.argument("action")
@click.option("--token-file", metavar="FILE", help="File with a token of an approver; default: the first token.")
@common
def command(action: str, token_file: str | None, config: str | None, state: str | None, as_json: bool) -> int:
    """Undo ACTION (an id of `ostiary actions`) of the running service. Undoing twice changes nothing.

    \b
    Examples:
      ostiary undo 8c376ed38dc28e12e81534a079e88b83
      ostiary undo 8c376ed38dc28e12e81534a079e88b83 --token-file ~/.ostiary-token
    """
    from ostiary.state import FIRST_TOKEN

    settings = read_settings(config, state)
    file = Path(token_file) if token_file else settings.state_path() / FIRST_TOKEN
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{file} cannot be read: name a file with a token by --token-file") from error
    status, answer = _post(settings.api, f"/actions/{action}/undo", token)
    if status == 404:
        raise NotFoundError(f"there is no action {action} to undo")
    if status != 200:
        raise StateError(f"the service refuses: {answer.get('detail') or answer.get('title') or status}")
    click.echo(json.dumps(answer) if as_json else f"{action} is {answer['state']}")
    return 0


def _post(api: ApiSettings, path: str, token: str) -> tuple[int, dict[str, str]]:
    connection = _connection(api)
    try:
        connection.request("POST", path, headers={"Authorization": f"Bearer {token}", "Content-Length": "0"})
        response = connection.getresponse()
        return response.status, json.loads(response.read(1 << 20))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StateError(f"the service does not answer on {api.listen}: {error}") from error
    finally:
        connection.close()


def _connection(api: ApiSettings) -> http.client.HTTPConnection:
    if api.listen.startswith("unix:"):
        return _UnixConnection(api.listen.removeprefix("unix:"))
    if not api.tls_certificate:
        return http.client.HTTPConnection(api.listen, timeout=TIMEOUT_S)
    context = ssl.create_default_context(cafile=api.tls_certificate)
    return http.client.HTTPSConnection(api.listen, timeout=TIMEOUT_S, context=context)
