"""Rego on a real OPA server, through opa-python-client.

For fleets that run OPA already, and as the judge of the embedded engine. Guarantees: the server serves exactly our
bundle: modules and data are compared when the engine is made, the revision that OPA reports with every answer. An OPA
that is gone, slow, or answers nonsense is a typed error. Retries nothing: whoever asks has declared what happens
without a decision. `timeout_s` bounds each wait for bytes, not the whole answer: the server is the operator's own.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from policy.bundles import Bundle
from policy.errors import AnswerError, EngineUnavailableError, EvaluationError, RevisionError

TIMEOUT_S = 0.5

_PACKAGE, _RULE = "ostiary", "decision"


class OpaEngine:
    """A `PolicyEngine` on a server. One object belongs to one thread: it holds one connection."""

    name = "opa"

    def __init__(self, url: str, bundle: Bundle, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to the OPA at `url` (http or https, host, port) that serves `bundle`.

        Raises `EngineUnavailableError` where none answers and `RevisionError` where it serves something else.
        """
        self.revision = bundle.revision
        self._client = _client(url, timeout_s)
        self._compare_modules(bundle)
        self._compare_data(bundle)
        self._provenance = self._ask({}).get("provenance")

    def evaluate(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the value of `data.ostiary.decision`; raise `PolicyError`."""
        answer = self._ask(document)
        if answer.get("provenance") != self._provenance:
            raise RevisionError("the OPA server's bundle has changed")
        result = answer.get("result")
        if result is None:
            raise EvaluationError(f"data.{_PACKAGE}.{_RULE} is undefined")
        if not isinstance(result, dict):
            raise AnswerError("OPA's answer is not an object")
        return result

    def close(self) -> None:
        """Close the connection."""
        self._client.close_connection()

    def _ask(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._call(self._client.query_rule, document, _PACKAGE, _RULE, {"provenance": "true"})

    def _compare_modules(self, bundle: Bundle) -> None:
        listing = _called(self._client.get_policies_list)
        names = [str(name) for name in listing if not str(name).endswith("_test.rego")]
        served = [self._call(self._client.get_policy, quote(name, safe="")) for name in names]
        texts = sorted(str(_object(policy.get("result")).get("raw")) for policy in served)
        if texts != sorted(bundle.modules.values()):
            raise RevisionError("the OPA server serves other Rego files than the bundle's")

    def _compare_data(self, bundle: Bundle) -> None:
        ours = bundle.data.get(_PACKAGE, {})
        for key, value in ours.items():
            served = self._call(self._client.get_data, f"{_PACKAGE}/{key}")
            if served.get("result") != value:
                raise RevisionError(f"the OPA server has other data than the bundle's at {_PACKAGE}/{key}")

    def _call(self, call: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        return _object(_called(call, *arguments))


def _client(url: str, timeout_s: float) -> Any:  # opa_client has no types
    try:
        from opa_client import OpaClient  # type: ignore[import-untyped]
    except ImportError as error:
        raise EngineUnavailableError("opa-python-client is not installed: pip install 'ostiary[run]'") from error
    try:
        parts = urlsplit(url)
        port = parts.port or 8181
    except ValueError as error:
        raise EngineUnavailableError(f"{url} is not an address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise EngineUnavailableError(f"{url} is not the http or https address of an OPA server")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return OpaClient(host=host, port=port, ssl=parts.scheme == "https", retries=0, timeout=timeout_s)


def _called(call: Callable[..., Any], *arguments: Any) -> Any:  # whatever JSON the server sent
    from opa_client.errors import PolicyNotFoundError  # type: ignore[import-untyped]
    from requests import HTTPError, RequestException
    from requests.exceptions import InvalidJSONError

    try:
        return call(*arguments)
    except (HTTPError, PolicyNotFoundError) as error:
        raise EvaluationError(f"OPA refused: {error}") from error
    except InvalidJSONError as error:
        raise AnswerError(f"question or answer is not JSON: {error}") from error
    except RequestException as error:
        raise EngineUnavailableError(f"no answer from OPA: {error}") from error
    except Exception as error:  # the client takes the form of answers for granted
        raise AnswerError(f"question or answer makes no sense: {error!r}") from error


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise AnswerError("OPA's answer is not an object")
    return value
