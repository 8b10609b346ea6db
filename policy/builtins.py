"""Which built-in functions a bundle may use in the embedded engine.

An allow-list: a built-in is on it when it gives the same answers as OPA's in OPA's own conformance cases, and depends
on nothing but its arguments. Some are taken only with arguments of a form for which that holds; `argument_problem` says
when not. What is missing is missing for a reason: it differs (`strings.count` counts overlaps), lacks in the engine
(`graphql.*`), or makes a decision that nobody can make again (`http.send`, `time.now_ns`, `rand.intn`).
"""

import re
from collections.abc import Callable

from policy.syntax import Node

_NAMES = """
    abs ceil floor round count sum product max min sort union intersection concat contains endswith startswith
    format_int indexof indexof_n lower upper replace split sprintf substring trim trim_left trim_prefix trim_right
    trim_space trim_suffix to_number type_name walk
    is_array is_boolean is_null is_number is_object is_set is_string
    array.concat array.reverse array.slice
    base64.decode base64.encode base64.is_valid base64url.decode base64url.encode base64url.encode_no_pad
    bits.and bits.lsh bits.negate bits.or bits.rsh bits.xor
    crypto.hmac.equal crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512 crypto.md5 crypto.sha1
    crypto.sha256
    glob.match glob.quote_meta graph.reachable graph.reachable_paths hex.decode hex.encode
    json.filter json.marshal json.marshal_with_options json.patch json.remove json.unmarshal
    net.cidr_contains net.cidr_expand net.cidr_is_valid numbers.range numbers.range_step
    object.filter object.get object.keys object.remove object.subset object.union object.union_n
    regex.find_all_string_submatch_n regex.find_n regex.is_valid regex.match regex.replace regex.split
    regex.template_match
    semver.compare semver.is_valid strings.any_prefix_match strings.any_suffix_match strings.reverse
    time.add_date time.clock time.date time.diff time.format time.parse_duration_ns time.parse_ns
    time.parse_rfc3339_ns time.weekday
    units.parse units.parse_bytes urlquery.decode urlquery.decode_object urlquery.encode urlquery.encode_object
    uuid.parse
"""
ALLOWED = frozenset(_NAMES.split())

UNREPEATABLE = frozenset(
    {"http.send", "time.now_ns", "rand.intn", "uuid.rfc4122", "opa.runtime", "net.lookup_ip_addr", "trace", "print"}
)
"""Built-ins whose answer depends on more than their arguments, or that answer nothing."""

_VERBS = re.compile(r"(?:[^%]|%[vs%])*")
_UNIT = re.compile(r"[^eE]*|.*[^0-9][eE][iI]?[bB]?|[0-9.]+[eE][iI]?[bB]?", re.DOTALL)
_GLOB = re.compile(r"(?:[^{}]|\{[A-Za-z0-9]+(?:,[A-Za-z0-9]+)*\})*")
_NUMBER = re.compile(r"-?[1-9][0-9]{0,14}(?:\.[0-9]{1,9})?|-?[A-Za-z]+")
_SHORT_NUMBER = re.compile(r"(?:[^eE]|[eE](?![-+]?[0-9]{3}))*", re.DOTALL)


def argument_problem(name: str, arguments: list[Node]) -> str:
    """Return why a built-in is not taken with these arguments; "" where it is."""
    rule = _RULES.get(name)
    return rule(arguments) if rule else ""


def text_of(node: Node) -> str | None:
    """Return a constant text; None for anything else."""
    for kind in ("String", "RawString"):
        if kind in node:
            return str(node[kind]["value"])
    return None


def _constant(position: int, form: Callable[[str], bool], need: str) -> Callable[[list[Node]], str]:
    def rule(arguments: list[Node]) -> str:
        text = text_of(arguments[position]) if len(arguments) > position else None
        return "" if text is not None and form(text) else f"needs {need}"

    return rule


def _number(arguments: list[Node]) -> str:
    """Take to_number of constants only: `06`, ` 6` and `-0` are numbers to one engine and not to the other."""
    argument = arguments[0] if arguments else {}
    text = text_of(argument)
    plain = bool(_NUMBER.fullmatch(text)) if text is not None else bool(set(argument) & {"Number", "Bool", "Null"})
    return "" if plain else "needs a constant, plain number"


def _step(arguments: list[Node]) -> str:
    step = arguments[2] if len(arguments) > 2 else {}
    value = step.get("Number", {}).get("value")
    return "" if isinstance(value, int) and 0 < value < 2**53 else "needs a constant, small step"


_RULES: dict[str, Callable[[list[Node]], str]] = {
    "glob.match": _constant(
        0, lambda text: bool(_GLOB.fullmatch(text)), "a constant pattern, alternatives of plain words"
    ),
    "sprintf": _constant(0, lambda text: bool(_VERBS.fullmatch(text)), "a constant format of %v and %s"),
    "units.parse": _constant(0, lambda text: bool(_UNIT.fullmatch(text)), "a constant text without exponent"),
    "units.parse_bytes": _constant(0, lambda text: bool(_UNIT.fullmatch(text)), "a constant text without exponent"),
    "json.unmarshal": _constant(
        0, lambda text: bool(_SHORT_NUMBER.fullmatch(text)), "a constant text, small exponents"
    ),
    "numbers.range_step": _step,
    "to_number": _number,
}
