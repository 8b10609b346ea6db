"""Recorded decisions as they may be shown: without what the masks of the bundle take away.

May be used from any thread: the masks belong to the thread that made them, so each has its own. They are made again
when the settings are read again, which is when a service takes another bundle into force.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ostiary.deciding import policy_bundle
from ostiary.settings import Settings
from ostiary.store import DecisionRecord
from policy.masking import Masks


class Showing:
    """Masks what is shown."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._mine = threading.local()

    def shown(self, record: DecisionRecord) -> DecisionRecord:
        """Return a record as it may be shown; raise `BundleError` where the masks cannot be made."""
        event = self.masked(
            record.document, {"verdict": record.verdict, "reasons": _reasons(record), "obligations": record.obligations}
        )
        result = event.get("result", {})
        reasons = tuple((reason.get("code", ""), reason.get("text", "")) for reason in result.get("reasons", []))
        return replace(
            record, document=event.get("input", {}), reasons=reasons, obligations=result.get("obligations", {})
        )

    def masked(self, document: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
        """Return a document and an answer, as `input` and `result` (JSON values, hence Any), as they may be shown."""
        settings = self._settings()
        if getattr(self._mine, "settings", None) is not settings:
            self._mine.masks, self._mine.settings = Masks(policy_bundle(settings)), settings
        masks: Masks = self._mine.masks
        return masks.masked({"input": dict(document), "result": dict(result), "path": "ostiary/decision"})


def _reasons(record: DecisionRecord) -> list[dict[str, str]]:
    return [{"code": code, "text": text} for code, text in record.reasons]
