"""An OPA server as the judge: the bundle is put there, asked, and taken away again.

Guarantees: a server that serves any policy but what an earlier judgement left is refused, since putting ours beside it
would change what it decides. Limits: OPA takes file by file, and refuses one that calls a function it does not have
yet; files that need each other in both directions need the `opa` program.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import quote

from policy.bundles import Bundle
from policy.engines.opa_link import OpaLink, OpaServer, as_object, is_system, raw_policy
from policy.errors import AnswerError, EngineUnavailableError, PolicyError
from policy.opa import TIMEOUT_S, Opa, OpaJudge
from policy.rules import Module, Rules

__all__ = ["JudgingServer", "OpaServer", "real_opa"]

PREFIX = "ostiary-judge-"


def real_opa(opa: str | OpaServer, bundle: Bundle) -> AbstractContextManager[OpaJudge]:
    """Give a bundle to a real OPA for a while: the path of a program, or a server."""
    return Opa.holding(opa, bundle) if isinstance(opa, str) else JudgingServer.holding(opa, bundle)


class JudgingServer(OpaJudge):
    """An OPA server that judges one bundle."""

    def __init__(self, link: OpaLink, bundle: Bundle) -> None:
        super().__init__()
        self._link, self._bundle = link, bundle
        self._refused: list[str] = []

    @classmethod
    @contextmanager
    def holding(cls, server: OpaServer, bundle: Bundle) -> "Iterator[JudgingServer]":
        """Give the bundle to the server for a while; raise `PolicyError`."""
        link = OpaLink(server, TIMEOUT_S)
        try:
            judge = cls(link, bundle)
            judge._clear()
            try:
                judge._put()
                yield judge
            finally:
                judge._clear()
        finally:
            link.close()

    def problems(self) -> list[str]:
        """Return the files that the server refuses, and the bundle's tests that do not hold there."""
        if self._refused:
            return self._refused
        tests = Rules([Module.parse(name, text) for name, text in self._bundle.tests.items()])
        names = sorted(".".join(("data", *path)) for path in tests.by_path if path[-1].startswith("test_"))
        return [f"{name} does not hold in OPA" for name in names if self.answers(name, [{}]) != [True]]

    def _asked(self, query: str, inputs: Sequence[Any]) -> Any:
        answer = as_object(self._call("ad_hoc_query", f"found := {query}", list(inputs)))
        try:
            return answer["result"][0]["found"]
        except (KeyError, IndexError, TypeError) as error:
            raise AnswerError("what OPA answers is no list of answers") from error

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._link.call(lambda client: getattr(client, name)(*arguments))

    def _put(self) -> None:
        self._put_one("mark", "package ostiary_judge")
        for key, value in self._bundle.data.items():
            if not isinstance(value, dict):
                raise EngineUnavailableError(f"data.{key} is no object: only the `opa` program can judge that")
            self._call("update_or_create_data", value, key)
        files = {**self._bundle.modules, **self._bundle.tests}
        refused = _in_some_order(files, lambda name: self._put_one(name, files[name]))
        self._refused = [f"OPA refuses {name}: {why}" for name, why in refused.items()]

    def _put_one(self, name: str, text: str) -> str:
        """Put one file; return why it was refused, "" where it was taken."""
        return self._refusal("update_policy_from_string", text, PREFIX + name.replace("/", "-"), False)

    def _refusal(self, name: str, *arguments: Any) -> str:
        try:
            self._call(name, *arguments)
        except EngineUnavailableError:
            raise
        except PolicyError as error:
            return str(error)
        return ""

    def _clear(self) -> None:
        """Take away what we put there; raise `EngineUnavailableError` where it could be somebody else's."""
        held = [name for name in map(str, self._call("get_policies_list")) if not self._is_system(name)]
        if any(not name.startswith(PREFIX) for name in held) or (not held and self._data()):
            raise EngineUnavailableError("the OPA server holds policies or data: only one that has none may judge")
        left = _in_some_order(held, lambda name: self._refusal("delete_policy", name))
        if left:
            raise EngineUnavailableError(f"the OPA server keeps files of an earlier judgement: {'; '.join(left)}")
        for key in self._data():
            self._call("delete_data", key)

    def _is_system(self, name: str) -> bool:
        return not name.startswith(PREFIX) and is_system(raw_policy(self._call("get_policy", quote(name, safe=""))))

    def _data(self) -> Sequence[str]:
        return list(as_object(as_object(self._call("get_data")).get("result")))


def _in_some_order(names: Iterable[str], attempt: Callable[[str], str]) -> dict[str, str]:
    """Try each, and again those that failed while others succeed; return why the rest fails."""
    waiting = dict.fromkeys(names, "")
    while waiting:
        failed = {name: why for name in waiting if (why := attempt(name))}
        if len(failed) == len(waiting):
            return failed
        waiting = failed
    return {}
