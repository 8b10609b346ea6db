"""Settings of the risk core."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, slots=True)
class RiskSettings:
    """How risk is learnt and kept."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    seed: Annotated[int, Ge(0)] = field(
        default=20260101, metadata={"doc": "Seed of every random choice of the models."}
    )
    alarm_budget_per_day: Annotated[float, Gt(0)] = field(
        default=10.0, metadata={"doc": "False alarms a day that are acceptable; thresholds of the models follow it."}
    )
    max_entities: Annotated[int, Ge(16)] = field(
        default=1 << 17,
        metadata={"doc": "Entities with windows of their own; beyond it the stalest are evicted and counted."},
    )
    learn_batch: Annotated[int, Ge(1)] = field(
        default=256, metadata={"doc": "Rows that the online models learn at once, counted in event order."}
    )
    behind: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": 'Networks behind a gateway, each "NETWORK GATEWAY", e.g. "10.0.0.0/8 198.51.100.1": a part of the '
            "risk passes between the two."
        },
    )
    countries: str = field(
        default="",
        metadata={
            "doc": "Table of countries by address: a CSV file of `first,last,country` or `network,country` a line; "
            "empty means none."
        },
    )
