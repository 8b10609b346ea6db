"""Asking the running service by its API, on behalf of a command."""

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ostiary.errors import NotFoundError, StateError
from ostiary.settings import ApiSettings, Settings

TIMEOUT_S = 15.0

F = TypeVar("F", bound=Callable[..., Any])  # click decorates functions of any shape


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def token_option(function: F) -> F:
    """Add --token-file to a command."""
    return click.option("--token-file", metavar="FILE", help="File with a token of the API; default: the first token.")(
        function
    )


def ask(
    settings: Settings, token_file: str | None, method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the service's answer (JSON, hence Any); raise `NotFoundError` (404) or `StateError`."""
    status, answer = _send(settings.api, method, path, _token(settings, token_file), body)
    if status == 404:
        raise NotFoundError(f"the service knows nothing under {path}")
    if status not in (200, 201):
        raise StateError(f"the service refuses: {answer.get('detail') or answer.get('title') or status}")
    return answer


def _token(settings: Settings, token_file: str | None) -> str:
    from ostiary.state import FIRST_TOKEN

    file = Path(token_file) if token_file else settings.state_path() / FIRST_TOKEN
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{file} cannot be read: name a file with a token by --token-file") from error


def _send(
    api: ApiSettings, method: str, path: str, token: str, body: Mapping[str, Any] | None
) -> tuple[int, dict[str, Any]]:
    connection = _connection(api)
    headers = {"Authorization": f"Bearer {token}"}
    content = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        headers["Content-Type"] = "application/json"
    if method != "GET":
        headers["Content-Length"] = str(len(content))
    try:
        connection.request(method, path, content or None, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read(1 << 22))
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
