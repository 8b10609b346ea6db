"""Where each process of a gate answers gRPC. Imports no gRPC: the supervisor must not, as it forks.

A gRPC library makes its sockets itself, so the processes cannot share the supervisor's, as they do for HTTP. On TCP
each binds the same address (SO_REUSEPORT, socket(7)) and the kernel spreads connections; on unix sockets the first has
the path itself, the others the path with `.1`, `.2` ... after it, for a gateway to list as endpoints.

Guarantees: an address that somebody else has is a `ListenError` at the start, not a gate that hears nothing.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from ostiary.errors import MissingExtraError
from ostiary.listening import TcpAddress, UnixAddress, bind, check_listen


def address_of(listen: str, process: int) -> str:
    """Return the address of one of the processes, as gRPC writes it."""
    return f"{listen}.{process}" if listen.startswith("unix:") and process else listen


@contextlib.contextmanager
def reserved(listen: str, processes: int) -> Iterator[None]:
    """Hold the addresses of all processes while they run; raise `ListenError` or `MissingExtraError`."""
    if not listen:
        yield
        return
    for package in ("grpc", "grpc_health", "envoy.service.auth"):
        _check_installed(package)
    addresses = [check_listen(address_of(listen, process)) for process in range(processes)]
    with contextlib.ExitStack() as held:
        for address in addresses[:1] if isinstance(addresses[0], TcpAddress) else addresses:
            if isinstance(address, TcpAddress):
                held.enter_context(bind(address, shared=True))  # it doesn't listen, so it gets no connections
            else:
                bind(address).close()  # nobody has it; the process that listens replaces the file
                held.callback(_unlink, address)
        yield


def _unlink(address: UnixAddress) -> None:
    Path(address.path).unlink(missing_ok=True)


def _check_installed(package: str) -> None:
    try:
        found = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise MissingExtraError("gate.grpc needs packages that are not installed: pip install 'ostiary[grpc]'")
