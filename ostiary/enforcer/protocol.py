"""What engine and enforcer say to each other: one JSON object a line, each way, validated strictly.

Unknown fields, other types, numbers that are not finite and lines beyond `MAX_REQUEST_BYTES` are refused. A request
names no command, no table and no rule: only an address and for how long.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from response.errors import EnforcerProtocolError

MAX_REQUEST_BYTES = 4096
MAX_ANSWER_BYTES = 8 << 20

Target = Annotated[str, Field(min_length=2, max_length=64)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Apply(_Message):
    """Cut an address off for `lease_s` seconds."""

    op: Literal["apply"] = "apply"
    target: Target
    lease_s: Annotated[float, Field(gt=0)]


class Undo(_Message):
    """Let an address in again."""

    op: Literal["undo"] = "undo"
    target: Target


class Close(_Message):
    """End the TCP connections of an address with this machine."""

    op: Literal["close"] = "close"
    target: Target


class List(_Message):
    """Ask who is cut off."""

    op: Literal["list"] = "list"


class Teardown(_Message):
    """Undo everything and leave no trace."""

    op: Literal["teardown"] = "teardown"


class Ping(_Message):
    """Ask whether the enforcer is there."""

    op: Literal["ping"] = "ping"


Request = Apply | Undo | Close | List | Teardown | Ping


class Answer(_Message):
    """What became of a request."""

    ok: bool
    code: str = ""
    """Code of the error where it is not ok."""
    reason: str = ""
    """Code of the guard where one refused."""
    text: str = ""
    undone: bool = False
    """Whether an undo found something to undo."""
    closed: int = 0
    """How many connections were ended."""
    active: tuple[tuple[str, float], ...] = ()
    """Who is cut off, and for how many seconds yet."""


_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="op")])


def read_request(line: bytes) -> Request:
    """Return the request that a line holds; raise `EnforcerProtocolError`, which repeats nothing of it."""
    if len(line) > MAX_REQUEST_BYTES:
        raise EnforcerProtocolError(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        kinds = ", ".join(sorted({item["type"] for item in error.errors(include_input=False, include_url=False)}))
        raise EnforcerProtocolError(f"not a valid request: {kinds}") from None


def read_answer(line: bytes) -> Answer:
    """Return the answer that a line holds; raise `EnforcerProtocolError`."""
    try:
        return Answer.model_validate_json(line)
    except ValidationError as error:
        raise EnforcerProtocolError("the enforcer's answer is not as agreed") from error


def encode(message: Request | Answer) -> bytes:
    """Return a message as a line."""
    return message.model_dump_json(exclude_defaults=isinstance(message, Answer)).encode() + b"\n"
