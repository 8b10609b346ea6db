"""AuthZEN at the gate: `POST /access/v1/evaluation` (OpenID AuthZEN Authorization API 1.0, section 6).

Guarantees: `decision` is what the asker is to do, so true while the route observes, and as declared where there is no
decision; the would-be verdict, its reasons and whether it is enforced stand in `context`; a question that cannot be
read is 400 with the code of what is wrong. `X-Request-ID` comes back as it was sent. Believes what it is told of the
subject: nobody but enforcement points may reach the gate.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from ostiary.sidecar.door import Door
from ostiary.sidecar.http import Handler, Request
from policy.authzen import read_question, write_answer
from policy.errors import DialectError
from policy.gateways.values import Answer, Question, Ruling

PATH = "/access/v1/evaluation"
NAME = "authzen"
MAX_ID = 128


def evaluation(door: Door, clock: Callable[[], int] = time.time_ns) -> Handler:
    """Return what answers the endpoint."""

    async def answer(request: Request) -> Answer:
        began = clock()
        echoed = tuple((n, v) for n, v in request.headers if n == b"x-request-id" and len(v) <= MAX_ID)[:1]
        if request.method != "POST":
            return _json(405, {"error": "authzen.method"}, (*echoed, (b"allow", b"POST")))
        try:
            asked = read_question(request.body, began)
        except DialectError as error:
            door.unreadable(error.code, "")
            return _json(400, {"error": error.code, "error_description": str(error)}, echoed)
        resource = asked.resource
        question = Question(asked.subject.entity, asked.action, resource.name, NAME, kind=resource.kind, named=asked)
        ruling = await door.rule_async(question, began) if door.waits else door.rule(question, began)
        door.counters.add(f"asked.{NAME}")
        door.counters.took((clock() - began) / 1e9)
        return _json(200, _told(ruling), echoed)

    return answer


def _told(ruling: Ruling) -> dict[str, Any]:  # JSON values
    if ruling.decision is None:
        return {"decision": ruling.allowed, "context": {"error": ruling.code, "enforced": ruling.enforced}}
    answer = write_answer(ruling.decision)
    return {"decision": ruling.allowed, "context": {**answer["context"], "enforced": ruling.enforced}}


def _json(status: int, value: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...]) -> Answer:
    return Answer(status, ((b"content-type", b"application/json"), *headers), json.dumps(value).encode())
