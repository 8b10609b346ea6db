"""Settings of the response layer."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt


@dataclass(frozen=True, slots=True)
class ResponseSettings:
    """What may be done to whom, and for how long."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    mode: Literal["observe", "enforce"] = field(
        default="observe", metadata={"doc": "`observe` only says what would be done; `enforce` does it."}
    )
    actuator: Literal["nftables"] = field(default="nftables", metadata={"doc": "The means by which a node is cut off."})
    lease_s: Annotated[float, Gt(0)] = field(
        default=600.0, metadata={"doc": "Seconds after which the kernel itself ends an action."}
    )
    never: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "Addresses and networks that are never acted on, besides own addresses, gateways and DNS servers."
        },
    )
    max_actions_per_hour: Annotated[int, Ge(0)] = field(
        default=100, metadata={"doc": "Actions an hour; beyond it they are refused, counted and shown."}
    )
    max_active: Annotated[int, Ge(0)] = field(
        default=1000, metadata={"doc": "Actions that may be active at the same time."}
    )
    haproxy_socket: str = field(
        default="",
        metadata={"doc": "HAProxy's stats socket (`level admin`), by which sessions are closed; empty means none."},
    )
    enforcer_socket: str = field(
        default="/run/ostiary/enforcer.sock", metadata={"doc": "Unix socket of the privileged enforcer process."}
    )
