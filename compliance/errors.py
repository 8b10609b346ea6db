"""Errors of the compliance layer.

    ComplianceError              compliance.error
    ├── AuditError               compliance.audit
    │   ├── AuditEntryError      compliance.audit-entry        an entry that cannot become a leaf (our own misuse)
    │   ├── AuditLockedError     compliance.audit-locked       another writer has the log
    │   ├── AuditDamagedError    compliance.audit-damaged      the log on disk is not what its checkpoint says
    │   ├── AuditWriteError      compliance.audit-write        the disk refused; nothing was acknowledged
    │   └── AuditRangeError      compliance.audit-range        an index or size that the log does not have
    ├── NoteError                compliance.note               a signed note or key that is malformed or not ours
    ├── KeyFileError             compliance.key-file           missing, malformed, or readable by others
    ├── VaultError               compliance.vault              the vault cannot be read or written
    │   └── UnknownSubjectError  compliance.unknown-subject    never sealed, or erased
    └── MaskingUnavailableError  compliance.masking            the extra that masks free text is not installed

What `verify` finds wrong in a log is not an error but a `Problem`.
"""


class ComplianceError(Exception):
    """Base of all errors that the compliance layer raises; `code` is stable."""

    code = "compliance.error"


class AuditError(ComplianceError):
    """The audit log cannot do what was asked."""

    code = "compliance.audit"


class AuditEntryError(AuditError):
    """An entry that cannot become a leaf: not JSON, too large, or a subject in plain."""

    code = "compliance.audit-entry"


class AuditLockedError(AuditError):
    """Another writer has the log open."""

    code = "compliance.audit-locked"


class AuditDamagedError(AuditError):
    """The log on disk is not what its checkpoint says."""

    code = "compliance.audit-damaged"


class AuditWriteError(AuditError):
    """The disk refused a write: nothing of this call was acknowledged, and the log must be opened again."""

    code = "compliance.audit-write"


class AuditRangeError(AuditError):
    """An index or size that the log does not have."""

    code = "compliance.audit-range"


class NoteError(ComplianceError):
    """A signed note or key that is malformed, or signed by somebody else."""

    code = "compliance.note"


class KeyFileError(ComplianceError):
    """A key file that is missing, malformed, or readable by others."""

    code = "compliance.key-file"


class VaultError(ComplianceError):
    """The vault cannot be read or written."""

    code = "compliance.vault"


class UnknownSubjectError(VaultError):
    """The vault does not know this subject: it was never sealed, or it was erased."""

    code = "compliance.unknown-subject"


class MaskingUnavailableError(ComplianceError):
    """The extra that masks free text is not installed."""

    code = "compliance.masking"
