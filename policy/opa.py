"""A real OPA as the judge: the `opa` program, which checks, tests and decides a bundle in a process of its own.

Guarantees: every call ends in bounded time; many inputs are decided at once; an input on which OPA ends with an error
is found and has no answer. The bundle is written to a directory that is gone afterwards. `policy.opa_server` does the
same with a server.
"""

import json
import os
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from policy.bundles import Bundle
from policy.errors import AnswerError, EngineUnavailableError, EvaluationError
from policy.sources import SIGNATURES

TIMEOUT_S = 300.0
MAX_FAILURES = 200
"""Runs that may end with an error while the inputs that cause it are looked for."""
UNDEFINED = "<undefined>"
"""Stands for no answer: the rule is undefined, or OPA ended with an error."""


class OpaJudge(ABC):
    """A real OPA that holds one bundle."""

    def __init__(self) -> None:
        self._failures = 0

    @abstractmethod
    def problems(self) -> list[str]:
        """Return what OPA and the bundle's own tests say against it."""

    @abstractmethod
    def _asked(self, query: str, inputs: Sequence[Any]) -> Any:
        """Return what a query has as its value (JSON, hence Any); raise `EvaluationError` where OPA ends with one."""

    def answers(self, path: str, inputs: Sequence[Any]) -> list[Any]:
        """Return the value of a path, e.g. `data.ostiary.decision`, for each input; `UNDEFINED` where it has none."""
        query = f"[[place, value] | some place, question in input; value := {path} with input as question]"
        try:
            found = _pairs(self._asked(query, inputs)) if inputs else {}
            return [found.get(place, UNDEFINED) for place in range(len(inputs))]
        except AnswerError:
            raise
        except EvaluationError as error:
            self._failures += 1
            if self._failures > MAX_FAILURES:
                raise EvaluationError(f"OPA ends with an error on many inputs: {error}") from error
        if len(inputs) == 1:
            return [UNDEFINED]
        half = len(inputs) // 2
        return self.answers(path, inputs[:half]) + self.answers(path, inputs[half:])


class Opa(OpaJudge):
    """An `opa` binary that judges one bundle."""

    def __init__(self, binary: str, folder: Path) -> None:
        super().__init__()
        self._binary, self._folder = binary, folder

    @classmethod
    @contextmanager
    def holding(cls, binary: str, bundle: Bundle) -> Iterator["Opa"]:
        """Give the bundle to OPA for a while."""
        with tempfile.TemporaryDirectory(prefix="ostiary-bundle-") as name:
            folder = Path(name)
            for path, content in bundle.files.items():
                if path != SIGNATURES:
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / path).write_bytes(content)
            yield cls(binary, folder)

    def problems(self) -> list[str]:
        """Return what `opa check --strict` and `opa test` say against the bundle."""
        found = []
        for command in (["check", "--strict", "-b", "."], ["test", "-b", "."]):
            done = self._run(command)
            if done.returncode:
                lines = (done.stderr or done.stdout).strip().splitlines()
                found.append(f"opa {command[0]}: {'; '.join(line.strip() for line in lines[:10])}")
        return found

    def _asked(self, query: str, inputs: Sequence[Any]) -> Any:
        done = self._run(
            ["eval", "-b", ".", "--stdin-input", "--format", "raw", query], json.dumps(list(inputs), allow_nan=False)
        )
        if done.returncode:
            raise EvaluationError(done.stderr.strip()[:500])
        try:
            return json.loads(done.stdout)
        except (ValueError, RecursionError) as error:
            raise AnswerError("what OPA answers is not JSON") from error

    def _run(self, arguments: Sequence[str], text: str = "") -> "subprocess.CompletedProcess[str]":
        environment: Mapping[str, str] = {"PATH": os.defpath, "HOME": str(self._folder)}
        try:
            return subprocess.run(
                [self._binary, *arguments], cwd=self._folder, input=text, env=environment,
                capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineUnavailableError(f"{self._binary} gave no answer: {error}") from error


def _pairs(value: Any) -> dict[int, Any]:  # JSON
    try:
        return dict(value)
    except (ValueError, TypeError) as error:
        raise AnswerError("what OPA answers is no list of answers") from error
