"""The judge: whether a bundle may come into force.

A bundle passes when it parses and compiles as a whole, lint finds nothing, its own tests hold, no decision takes too
long and every answer is a decision; where an `opa` program is there, OPA must check it, run its tests, and give the
same answer to every input. Guarantees: it says everything that it finds, and names rule and input of a difference.
`judge_apart` does it in a process of its own, which is ended when it takes too long: a bundle that loops, or brings the
native code down, harms nobody.
"""

import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from policy.bundles import Bundle
from policy.decide import checked_answer
from policy.engines.apart import ApartEngine
from policy.engines.embedded import ENTRYPOINT, EmbeddedEngine
from policy.errors import BundleError, EvaluationError, JudgementError, PolicyError, SlowError
from policy.generate import documents
from policy.lint import lint
from policy.masking import Masks
from policy.opa import UNDEFINED, OpaJudge
from policy.opa_server import OpaServer, real_opa
from policy.rules import Module, Rules
from policy.trials import interpreter, run_tests
from policy.values import PolicyEngine

GENERATED = 1_000
"""Inputs that are made up, besides those that were recorded."""
DECISION_S = 0.1
"""Seconds that the slowest decision may take, the best of three."""
ENDED_S = 5.0
"""Seconds after which a decision is ended, and with it the judgement."""
JUDGEMENT_S = 600.0
MAX_DIFFERENCES = 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge found."""

    revision: str
    epoch: int | None
    tests: int
    inputs: int
    opa: bool
    """Whether a real OPA was asked."""
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the bundle may come into force."""
        return not self.problems


def judge(
    bundle: Bundle, recorded: Sequence[Any] = (), opa: str | OpaServer | None = None, made: int = GENERATED
) -> Judgement:
    """Judge a bundle on recorded and `made` generated inputs; `opa` is the path of a real OPA, or a server."""
    try:
        problems = [str(finding) for finding in lint(bundle)]
        if problems:
            return Judgement(bundle.revision, bundle.epoch, 0, 0, False, tuple(problems))
        EmbeddedEngine(bundle)
        Masks(bundle)
        trials = list(run_tests(bundle))
    except BundleError as error:
        return Judgement(bundle.revision, None, 0, 0, False, (str(error),))
    problems += [f"{trial.file}: {trial.name}: {trial.text}" for trial in trials if not trial.ok]
    if problems:  # nothing is run on a bundle that already failed: it might do anything
        return Judgement(bundle.revision, bundle.epoch, len(trials), 0, False, tuple(problems))
    inputs = [*recorded, *documents(bundle, made)]
    with _bounded(bundle) as engine:
        answers = [_answer(engine, question) for question in inputs]
        problems += _unfit(engine, inputs, answers, len(recorded))
    if opa is not None:
        with real_opa(opa, bundle) as real:
            problems += real.problems() or _differences(bundle, real, inputs, answers)
    return Judgement(bundle.revision, bundle.epoch, len(trials), len(inputs), opa is not None, tuple(problems))


def judge_apart(
    bundle: Bundle,
    recorded: Sequence[Any] = (),
    opa: str | OpaServer | None = None,
    made: int = GENERATED,
    timeout_s: float = JUDGEMENT_S,
) -> Judgement:
    """Judge in a process of its own; raise `JudgementError` where that takes too long or ends the process."""
    apart = multiprocessing.get_context("spawn")
    ours, theirs = apart.Pipe(duplex=False)
    process = apart.Process(target=_serve, args=(theirs, bundle, recorded, opa, made), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(timeout_s):
            raise JudgementError(f"the bundle could not be judged within {timeout_s:g} s: does it loop over much data?")
        found: Judgement | PolicyError = ours.recv()
    except EOFError as error:
        process.join(5)
        raise JudgementError(f"the bundle brought the engine down (exit code {process.exitcode})") from error
    finally:
        process.kill()
        process.join()
        ours.close()
    if isinstance(found, PolicyError):
        raise found
    return found


def _serve(pipe: Connection, bundle: Bundle, recorded: Sequence[Any], opa: str | OpaServer | None, made: int) -> None:
    try:
        found: Judgement | PolicyError = judge(bundle, recorded, opa, made)
    except PolicyError as error:
        found = error
    pipe.send(found)


@contextmanager
def _bounded(bundle: Bundle) -> Iterator[PolicyEngine]:
    """Give an engine that neither loops for long nor takes all memory."""
    engine = ApartEngine(bundle, ENDED_S)
    try:
        yield engine
    finally:
        engine.close()


def _answer(engine: PolicyEngine, question: Any) -> Any:
    try:
        return engine.evaluate(question)
    except SlowError as error:
        raise JudgementError(f"{ENTRYPOINT}: {error}; input {_short(question)}") from error
    except EvaluationError:
        return UNDEFINED


def _unfit(engine: PolicyEngine, inputs: Sequence[Any], answers: Sequence[Any], recorded: int) -> Iterator[str]:
    """Yield what is wrong with the answers alone: no decision to a question in order, or a slow one."""
    told = 0
    for place, (question, answer) in enumerate(zip(inputs, answers, strict=True)):
        if place >= recorded and (place - recorded) % 5 == 4:
            continue  # made to be broken: no answer is an answer
        try:
            checked_answer(answer if isinstance(answer, Mapping) else engine.evaluate(question))
        except EvaluationError as error:
            told += 1
            if told <= MAX_DIFFERENCES:
                yield f"{ENTRYPOINT}: {error}; input {_short(question)}"
    slowest = max((_seconds(engine, question) for question in inputs[:: max(1, len(inputs) // 50)]), default=0.0)
    if slowest > DECISION_S:
        yield f"{ENTRYPOINT}: a decision takes {slowest:.2f} s, more than {DECISION_S:g} s"


def _seconds(engine: PolicyEngine, question: Any) -> float:
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        _answer(engine, question)
        taken.append(time.perf_counter() - start)
        if taken[-1] <= DECISION_S:
            break
    return min(taken)


def _differences(bundle: Bundle, real: OpaJudge, inputs: Sequence[Any], answers: Sequence[Any]) -> Iterator[str]:
    theirs = real.answers(ENTRYPOINT, inputs)
    differing = [place for place, (a, b) in enumerate(zip(answers, theirs, strict=True)) if _plain(a) != _plain(b)]
    for place in differing[:MAX_DIFFERENCES]:
        names = ", ".join(_differing_rules(bundle, real, inputs[place])) or ENTRYPOINT
        yield f"OPA answers otherwise: {names}; input {_short(inputs[place])}"
    if len(differing) > MAX_DIFFERENCES:
        yield f"OPA answers otherwise to {len(differing)} of {len(inputs)} inputs"


def _differing_rules(bundle: Bundle, real: OpaJudge, question: Any) -> Iterator[str]:
    """Yield the rules whose values differ between the engines, with file and line."""
    rules = Rules([Module.parse(name, text) for name, text in bundle.modules.items()])
    for path, defined in sorted(rules.by_path.items()):
        if any(rule.kind == "Func" for rule in defined):
            continue
        name = ".".join(("data", *path))
        if _plain(_interpreted(bundle, name, question)) != _plain(real.answers(name, [question])[0]):
            line = defined[0].tree.get("span", {}).get("line", 0)
            yield f"{name} ({defined[0].module.name}:{line})"


def _interpreted(bundle: Bundle, name: str, question: Any) -> Any:
    engine = interpreter(bundle)
    engine.set_input_json(json.dumps(question))
    try:
        return json.loads(engine.eval_rule_as_json(name))
    except Exception:  # noqa: BLE001 - whatever the native code raises, there is no value
        return UNDEFINED


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _short(question: Any) -> str:
    text = json.dumps(question, ensure_ascii=False)
    return text if len(text) <= 600 else text[:600] + "..."
