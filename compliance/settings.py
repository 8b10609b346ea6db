"""Settings of the compliance layer."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ComplianceSettings:
    """The audit log and what is done with personal data."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    log_origin: str = field(
        default="ostiary.local/audit",
        metadata={"doc": "Name of the audit log, the first line of its checkpoints (C2SP tlog-checkpoint)."},
    )
    purpose: str = field(
        default="network and information security",
        metadata={"doc": "Purpose written into each audit entry (GDPR recital 49)."},
    )
    legal_basis: str = field(
        default="GDPR Art. 6(1)(f)", metadata={"doc": "Legal basis written into each audit entry."}
    )
