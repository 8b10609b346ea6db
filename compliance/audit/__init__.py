"""A tamper-evident log that an outsider can check with tools that are not ours."""

from compliance.audit.log import AuditLog
from compliance.audit.reader import LogReader
from compliance.audit.verify import verify

__all__ = ["AuditLog", "LogReader", "verify"]
