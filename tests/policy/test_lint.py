"""Lint: what engines answer differently is refused, with file and line; what is plain is not."""

from pathlib import Path
from typing import Any

import pytest

from policy.bundles import Bundle, load_bundle, make_bundle
from policy.errors import BundleError
from policy.lint import lint

DECISION = 'decision := {"verdict": "allow", "reasons": [], "obligations": {}, "ttl_s": 1}\n'


def bundle(rego: str, data: dict[str, Any] | None = None, manifest: dict[str, Any] | None = None) -> Bundle:
    return Bundle(Path(), {"a.rego": f"package ostiary\n\n{DECISION}\n{rego}\n"}, data or {}, manifest or {}, "")


def codes(found: Bundle) -> set[str]:
    return {finding.code for finding in lint(found)}


@pytest.mark.parametrize("name", ["shipped", "roles", "networks", "posture", "paths", "budgets"])
def test_good_bundles_pass(vectors: Path, name: str) -> None:
    assert lint(load_bundle("" if name == "shipped" else vectors / "bundles" / name)) == []


@pytest.mark.parametrize(
    ("code", "rego"),
    [
        ("not", "f(x) if x > 1\n\np if not f(input.risk.risk)"),
        ("not", 'p if not startswith(input.action, "x")'),
        ("not", 'p if not count(split(input.action, "/")) == 1'),
        ("not", 'q := 1 if input.action == "x"\n\nf(x) if x > 1\n\np if not f(q)'),
        ("builtin", 'p := http.send({"method": "get", "url": "http://127.0.0.1"})'),
        ("builtin", "p := time.now_ns()"),
        ("builtin", 'p := graphql.is_valid("{}", "{}")'),
        ("builtin", 'p := strings.count(input.action, "x")'),
        ("builtin", 'p := glob.match(input.resource.name, ["/"], "x")'),
        ("builtin", 'p := glob.match("{**/,}x", null, "x")'),
        ("builtin", 'p := sprintf("%d", [input.risk.risk])'),
        ("builtin", "p := to_number(input.action)"),
        ("conflict", 'p := 1 if input.action == "x"\n\np := 2 if input.action != "y"'),
        ("conflict", "f(x) := 1 if x > 1\n\nf(x) := 2 if x > 2"),
        ("conflict", "p := reason if some reason in input.risk.reasons"),
        ("conflict", "p := input.risk.reasons[_]"),
        ("conflict", 'p := {"x": reason | some reason in input.risk.reasons}'),
        ("conflict", "p[x] := y if {\n\tx := input.action\n\ty := input.risk.reasons[_]\n}"),
        ("arithmetic", "p := input.risk.risk * 2"),
        ("arithmetic", "p := 0.1 + 0.2"),
        ("arithmetic", "p := sum([input.risk.risk])"),
        ("arithmetic", "p := 7 / 2 + 1"),
        ("loop", 'p := {"a": [data.x | some y in input.risk.reasons], "b": data.x}'),
        ("loop", 'p if {\n\tevery x in data.xs {\n\t\tx != input.action\n\t}\n\tinput.action != "y"\n}'),
        ("default", "default f(_) := 1\n\nf(x) := x if x > 1"),
        ("default", "default p := [x | some x in data.xs]"),
        ("head", "a.b.c := 1"),
        ("package", "p := data.ostiary"),
        ("package", 'p := data[x].y if x := "ostiary"'),
        ("input", "p if input.subject.name"),
        ("input", "p if input.user"),
        ("input", "p if input.subject.id.first"),
        ("import", "import future.keywords.not"),
    ],
)
def test_what_engines_differ_on_is_refused(code: str, rego: str) -> None:
    text = f"package ostiary\n\n{rego}\n\n{DECISION}" if rego.startswith("import") else None
    found = Bundle(Path(), {"a.rego": text}, {}, {}, "") if text else bundle(rego)
    findings = lint(found)
    assert code in {finding.code for finding in findings}, findings
    assert all(finding.file == "a.rego" and finding.line >= 1 for finding in findings if finding.code == code)


@pytest.mark.parametrize(
    "rego",
    [
        'p if not input.subject.identity == "x"',
        "default q := false\n\nq if input.risk.risk > 1\n\np if not q",
        'f(x) := true if {\n\tx == "a"\n} else := false\n\np if not f(object.get(input, ["action"], ""))',
        "p if {\n\tsome x in input.risk.reasons\n\tnot x in data.known\n}",
        'p := 1 if {\n\tinput.action == "x"\n} else := 2',
        'f("a") := 1\n\nf("b") := 2',
        'p if input.action == "x"\n\np if input.action == "y"',
        "p := [reason | some reason in input.risk.reasons]",
        "p := {name: value | some name, value in input.environment.facts}",
        "p[name] := value if some name, value in input.environment.facts",
        "p := count(input.risk.reasons) * 3",
        "p := round(input.risk.risk) + data.whole.a",
        "p if input.risk.risk > data.broken",
        'p := input.environment.facts["anything"]',
        "p := {1, 2} - {1}",
        'p := {"b": data.x, "a": [data.x | some y in input.risk.reasons]}',
    ],
)  # fmt: skip
def test_what_is_plain_passes(rego: str) -> None:
    assert lint(bundle(rego, {"whole": {"a": 3, "b": [1]}, "broken": 0.5, "known": ["a"]})) == []


def test_the_bundle_as_a_whole() -> None:
    assert codes(Bundle(Path(), {"a.rego": "package ostiary\n\np := 1\n"}, {}, {}, "")) == {"entrypoint"}
    assert codes(bundle("p := 1", manifest={"roots": ["other"]})) == {"roots"}
    assert codes(bundle("p := 1", manifest={"roots": "x"})) == {"roots"}
    assert codes(bundle("p := 1", {"ostiary": {"p": 2}})) == {"data"}
    assert codes(bundle("p := data.xs[2]", {"xs": {"2": 1}})) == {"key"}
    assert codes(bundle("p := data.xs[2]", {"xs": [1, 2, 3]})) == set()


def test_tests_may_not_reach_out_either() -> None:
    files = {
        "a.rego": f"package ostiary\n\n{DECISION}".encode(),
        "a_test.rego": b'package x\n\ntest_a if http.send({"url": "http://127.0.0.1/"}).status_code == 1\n',
    }
    assert codes(make_bundle(files, Path())) == {"builtin"}


def test_what_does_not_parse_is_an_error() -> None:
    with pytest.raises(BundleError):
        lint(bundle("p if {"))
