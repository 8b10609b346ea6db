"""Close TCP connections of single addresses in the kernel, in the current network namespace (ss(8), sock_diag(7)).

Guarantees: only connections whose other end is that address; both ends see a reset; doing it twice is as doing it once.
Closing has no undo, and needs none: who was let in may connect again once it is let in again. Needs `ss` (iproute2),
CAP_NET_ADMIN and a kernel with CONFIG_INET_DIAG_DESTROY. It decides nothing: guards are the caller's work.
"""

import ipaddress
import subprocess

from response.errors import ActuatorError, CapabilityError, ToolMissingError
from sensors.values import Entity

_PLACES = ("/usr/bin/ss", "/bin/ss", "/usr/sbin/ss", "/sbin/ss")
_TIMEOUT_S = 5.0


class SocketCloser:
    """A `response.ports.Closer` over the kernel's sockets."""

    name = "sockets"

    def close(self, target: Entity) -> int:
        """Close connections with `target`; return how many. Raise `ActuatorError`."""
        address = ipaddress.ip_address(target.id.partition("%")[0])
        host = f"[{address}]" if address.version == 6 else str(address)
        for place in _PLACES:
            try:
                done = subprocess.run(
                    [place, "-K", "-H", "-t", "-n", "state", "connected", "dst", host], capture_output=True, text=True,
                    timeout=_TIMEOUT_S, env={"LC_ALL": "C"}, check=False,
                )  # fmt: skip
            except FileNotFoundError:
                continue
            except subprocess.TimeoutExpired as error:
                raise ActuatorError(f"ss did not end within {_TIMEOUT_S:g} s") from error
            except OSError as error:
                raise ActuatorError(f"ss cannot be run: {error.strerror or error}") from error
            if "not permitted" in done.stderr:
                raise CapabilityError("closing connections needs CAP_NET_ADMIN in this network namespace")
            if done.returncode != 0:
                raise ActuatorError(f"ss: {(done.stderr.strip().splitlines() or ['it failed'])[0]}")
            return len(done.stdout.splitlines())
        raise ToolMissingError("ss is not installed (Debian: apt install iproute2)")
