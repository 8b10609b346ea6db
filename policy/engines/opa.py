"""Rego on a real OPA server, through opa-python-client.

For fleets that run OPA already, and as the judge of the embedded engine. Guarantees: the server serves exactly our
bundle: modules (but those for the server itself, in `system`) and data are compared when the engine is made, the
revision that OPA reports with every answer. An OPA that is gone, slow, or answers nonsense is a typed error.
`evaluate_async` holds up nobody else's question.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from policy.bundles import Bundle
from policy.engines.opa_link import OpaLink, OpaServer, as_object, is_system, raw_policy
from policy.errors import AnswerError, EvaluationError, RevisionError

TIMEOUT_S = 0.5

_PACKAGE, _RULE = "ostiary", "decision"


class OpaEngine:
    """A `PolicyEngine` on a server."""

    name = "opa"

    def __init__(self, server: OpaServer, bundle: Bundle, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to an OPA that serves `bundle`.

        Raises `EngineUnavailableError` where none answers and `RevisionError` where it serves something else.
        """
        self.revision = bundle.revision
        self._link = OpaLink(server, timeout_s)
        try:
            self._compare_modules(bundle)
            self._compare_data(bundle)
            self._provenance = self._link.call(lambda client: _ask(client, {})).get("provenance")
        except BaseException:
            self._link.close()
            raise

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of `data.ostiary.decision`; raise `PolicyError`."""
        return self._decision(self._link.call(lambda client: _ask(client, document)))

    async def evaluate_async(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the same while others go on; raise `PolicyError`."""
        return self._decision(await asyncio.wrap_future(self._link.later(lambda client: _ask(client, document))))

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _decision(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        if answer.get("provenance") != self._provenance:
            raise RevisionError("the OPA server's bundle has changed")
        result = answer.get("result")
        if result is None:
            raise EvaluationError(f"data.{_PACKAGE}.{_RULE} is undefined")
        if not isinstance(result, dict):
            raise AnswerError("OPA's answer is not an object")
        return result

    def _compare_modules(self, bundle: Bundle) -> None:
        listing = self._link.call(lambda client: client.get_policies_list())
        names = [str(name) for name in listing if not str(name).endswith("_test.rego")]
        texts = sorted(text for text in map(self._served, names) if not is_system(text))
        if texts != sorted(bundle.modules.values()):
            raise RevisionError("the OPA server serves other Rego files than the bundle's")

    def _served(self, name: str) -> str:
        return raw_policy(self._link.call(lambda client: client.get_policy(quote(name, safe=""))))

    def _compare_data(self, bundle: Bundle) -> None:
        for key, value in bundle.data.get(_PACKAGE, {}).items():
            if self._data(key) != value:
                raise RevisionError(f"the OPA server has other data than the bundle's at {_PACKAGE}/{key}")

    def _data(self, key: str) -> Any:  # JSON
        path = f"{_PACKAGE}/{quote(key, safe='')}"
        return as_object(self._link.call(lambda client: client.get_data(path))).get("result")


async def _ask(client: Any, document: Mapping[str, Any]) -> Mapping[str, Any]:  # opa_client has no types
    return as_object(await client.query_rule(document, _PACKAGE, _RULE, {"provenance": "true"}))
