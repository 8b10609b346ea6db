"""The API as an ASGI application.

Guarantees: what is answered comes from the store, thus under pseudonyms, except by `reveal`; every route stands in
`access.ROUTES` and is guarded by `door.Door`; questions run on worker threads, so that a gate in the same event loop
isn't held up. The application changes nothing itself: `undo` and `reveal` are given, and take care of their own audit
entries before anything becomes visible.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar  # Any: JSON values

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ostiary.api import views
from ostiary.api.door import CALLER, Door
from ostiary.api.errors import RefusedError
from ostiary.api.problems import MEDIA_TYPE, Fault, Problem, answer
from ostiary.api.tokens import TokenRecord, Tokens
from ostiary.explaining import counterfactual_of
from ostiary.store import ActionRecord, CursorError, DecisionRecord, EntityRecord, LabelRecord, Reader, StoreError
from sensors.receive.push import PushError, PushFullError, PushTooLargeError

Health = Callable[[], Mapping[str, Any]]
"""Returns JSON values with `status`: "ok", or else what is wrong; anybody may see it."""
Checkpoint = Callable[[], str | None]
"""Returns the newest checkpoint of the audit log (C2SP signed note), None where there is none yet."""
Undo = Callable[[str, str], ActionRecord | None]
"""(action id, actor) -> the action as it is now, None where there is no such action; raises `RefusedError`."""
Reveal = Callable[[str, str, str], str | None]
"""(pseudonym, purpose, actor) -> plain identifier, after the audit entry; None where unknown; raises `RefusedError`."""
Note = Callable[[views.ReadingOrder, str], int]
"""(what is read, actor) -> how many of its subjects are known, after the audit entry; raises `RefusedError`."""
Shown = Callable[[DecisionRecord], DecisionRecord]
"""A decision -> the decision as it may be shown, from any thread."""
Push = Callable[[str, bytes, bool], int | None]
"""(name, body, whether it is gzip) -> lines taken, None where no such name is configured; raises `PushError`."""
Labelling = Callable[[views.LabelOrder, str], LabelRecord | None]
"""(what is said, actor) -> the label, in force; None where nobody knows the subject; raises `RefusedError`."""
Withdrawal = Callable[[str, str], LabelRecord | None]
"""(label id, actor) -> the label, withdrawn; None where there is none; raises `RefusedError`."""

Live = Callable[[], Mapping[str, Any]]
"""Returns JSON values that only the running engine knows; raises `RefusedError`."""

Item = TypeVar("Item")
DECISIONS_EXPLAINED = 20
RETRY_S = "5"
_bearer = Security(HTTPBearer(auto_error=False, description="A token made by `ostiary token create`."))
_Name = Annotated[views.Name, Path()]
_log = logging.getLogger("ostiary.api")


def create_app(
    store: Reader,
    tokens: Tokens,
    health: Health,
    *,
    checkpoint: Checkpoint | None = None,
    undo: Undo | None = None,
    reveal: Reveal | None = None,
    note: Note | None = None,
    label: Labelling | None = None,
    withdraw: Withdrawal | None = None,
    live: Mapping[str, Live] | None = None,
    push: Push | None = None,
    shown: Shown = lambda record: record,
) -> Door:
    """Make the application; routes whose port isn't given answer `api.not-found`."""
    app = FastAPI(
        title="Ostiary", version="1", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False,
        responses={"default": {"model": Problem, "description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {}}}},
    )  # fmt: skip
    guarded = APIRouter(dependencies=[_bearer])
    _add_questions(guarded, store, shown)
    if checkpoint is not None:
        _add_checkpoint(guarded, checkpoint)
    if undo is not None:
        _add_undo(guarded, undo)
    if reveal is not None:
        _add_reveal(guarded, reveal)
    if note is not None:
        _add_note(guarded, note)
    if label is not None and withdraw is not None:
        _add_labels(guarded, label, withdraw)
    if push is not None:
        _add_push(guarded, push)
    for name, answer_of in (live or {}).items():
        _add_live(guarded, name, answer_of)
    _add_health(app, health)
    app.include_router(guarded)
    _add_description(app)
    _add_problems(app)
    return Door(app, tokens)


def _add_health(app: FastAPI, health: Health) -> None:
    @app.get("/health", responses={503: {"description": "Something is wrong"}})
    def show_health(query: Annotated[views.NoQuery, Query()]) -> JSONResponse:
        """Say whether all is well; needs no token."""
        found = dict(health())
        return JSONResponse(found, status_code=200 if found.get("status") == "ok" else 503)


def _add_description(app: FastAPI) -> None:
    @app.get("/openapi.json", include_in_schema=False)
    def describe(query: Annotated[views.NoQuery, Query()]) -> JSONResponse:
        return JSONResponse(app.openapi())


def _add_questions(router: APIRouter, store: Reader, shown: Shown) -> None:
    @router.get("/entities")
    def list_entities(query: Annotated[views.EntityQuery, Query()]) -> views.EntityPage:
        """List entities, riskiest first."""
        page = store.entities(query.run, query.min_risk, query.limit, query.after)
        return views.EntityPage(page.items, page.next)

    @router.get("/entities/{pseudonym}")
    def show_entity(pseudonym: _Name, query: Annotated[views.NoQuery, Query()]) -> EntityRecord:
        """Show one entity as the newest run that knows it left it."""
        return _found(store.entity(pseudonym))

    @router.get("/entities/{pseudonym}/explain")
    def explain_entity(pseudonym: _Name, query: Annotated[views.NoQuery, Query()]) -> views.Explanation:
        """Say why an entity is as risky as it is."""
        entity = _found(store.entity(pseudonym))
        latest = store.decisions(entity=pseudonym, limit=DECISIONS_EXPLAINED, run_id=entity.run_id)
        summaries = tuple(views.DecisionSummary.of(decision) for decision in latest.items)
        return views.Explanation(entity, views.causes(entity), summaries, counterfactual_of(entity, latest.items))

    @router.get("/decisions")
    def list_decisions(query: Annotated[views.DecisionQuery, Query()]) -> views.DecisionPage:
        """List decisions, newest first."""
        page = store.decisions(query.entity, query.verdict, query.limit, query.after, query.run)
        return views.DecisionPage(tuple(views.DecisionSummary.of(item) for item in page.items), page.next)

    @router.get("/decisions/{decision_id}")
    def show_decision(decision_id: _Name, query: Annotated[views.NoQuery, Query()]) -> DecisionRecord:
        """Show one decision with the document that it was made on."""
        return shown(_found(store.decision(decision_id)))

    @router.get("/labels")
    def list_labels(query: Annotated[views.NoQuery, Query()]) -> views.LabelPage:
        """List labels, the oldest first."""
        return views.LabelPage(store.labels())

    @router.get("/actions")
    def list_actions(query: Annotated[views.ActionQuery, Query()]) -> views.ActionPage:
        """List actions, newest first."""
        page = store.actions(query.state, query.limit, query.after, query.run)
        return views.ActionPage(page.items, page.next)

    @router.get("/sources")
    def list_sources(query: Annotated[views.NoQuery, Query()]) -> views.Sources:
        """Show what the newest run reads, how far it is, and what couldn't be read."""
        run = _found(store.latest_run())
        return views.Sources(run.id, run.kind, tuple(dict(source) for source in run.sources))


def _add_checkpoint(router: APIRouter, checkpoint: Checkpoint) -> None:
    @router.get("/audit/checkpoint", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def show_checkpoint(query: Annotated[views.NoQuery, Query()]) -> Response:
        """Show the newest checkpoint of the audit log (C2SP tlog-checkpoint)."""
        return Response(_found(checkpoint()), media_type="text/plain")


def _add_undo(router: APIRouter, undo: Undo) -> None:
    @router.post("/actions/{action_id}/undo")
    def undo_action(action_id: _Name, query: Annotated[views.NoQuery, Query()], request: Request) -> ActionRecord:
        """Undo an action; undoing it again changes nothing."""
        return _found(undo(action_id, _caller(request).name))


def _add_reveal(router: APIRouter, reveal: Reveal) -> None:
    @router.post("/entities/{pseudonym}/reveal")
    def reveal_entity(
        pseudonym: _Name, order: views.RevealOrder, query: Annotated[views.NoQuery, Query()], request: Request
    ) -> views.Revealed:
        """Show the plain identifier behind a pseudonym, after an audit entry with the purpose was written."""
        return views.Revealed(pseudonym, _found(reveal(pseudonym, order.purpose, _caller(request).name)))


def _add_note(router: APIRouter, note: Note) -> None:
    @router.post("/reveals")
    def note_reading(
        order: views.ReadingOrder, query: Annotated[views.NoQuery, Query()], request: Request
    ) -> views.Noted:
        """Write into the audit log that a command on the service's machine is about to read plain names."""
        return views.Noted(note(order, _caller(request).name))


def _add_push(router: APIRouter, push: Push) -> None:
    @router.post("/logs/{name}", status_code=202)
    async def push_lines(name: _Name, query: Annotated[views.NoQuery, Query()], request: Request) -> views.Pushed:
        """Take log lines: the body holds one a line (or one JSON object a line), plain or gzip."""
        packed = request.headers.get("content-encoding", "identity").lower() == "gzip"
        body = await request.body()
        return views.Pushed(_found(await run_in_threadpool(push, name, body, packed)))


def _add_live(router: APIRouter, name: str, answer_of: Live) -> None:
    """Add a route that the engine itself answers: `forecast` (the next hour) or `model` (what taught it)."""

    @router.get(f"/{name}", name=f"show_{name}", summary=f"Show the {name}, as the running engine has it.")
    def show_live(query: Annotated[views.NoQuery, Query()]) -> JSONResponse:
        return JSONResponse(dict(answer_of()))


def _add_labels(router: APIRouter, label: Labelling, withdraw: Withdrawal) -> None:
    @router.post("/labels")
    def label_subject(
        order: views.LabelOrder, query: Annotated[views.NoQuery, Query()], request: Request
    ) -> LabelRecord:
        """Say that something is malicious or benign; the risk core hears it before this answers."""
        return _found(label(order, _caller(request).name))

    @router.delete("/labels/{label_id}")
    def withdraw_label(label_id: _Name, query: Annotated[views.NoQuery, Query()], request: Request) -> LabelRecord:
        """Take a label back, with all that it changed; taking it back again changes nothing."""
        return _found(withdraw(label_id, _caller(request).name))


def _caller(request: Request) -> TokenRecord:
    caller = request.scope[CALLER]
    assert isinstance(caller, TokenRecord)
    return caller


def _found(item: Item | None) -> Item:
    if item is None:
        raise HTTPException(404)
    return item


def _add_problems(app: FastAPI) -> None:
    def respond(code: str, detail: str = "", faults: tuple[Fault, ...] = ()) -> Response:
        reply = answer(code, detail, faults)
        return Response(reply.body(), reply.problem.status, dict(reply.headers), MEDIA_TYPE)

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> Response:
        return respond("api.internal")  # the door logs it: the framework raises it on

    @app.exception_handler(HTTPException)
    def missing(request: Request, error: HTTPException) -> Response:
        return respond(
            {404: "api.not-found", 405: "api.method", 400: "api.invalid"}.get(error.status_code, "api.internal")
        )

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        # Neither `input` nor the name of an unknown parameter is sent back: both are the client's own bytes.
        faults = [Fault(_where(item), str(item["msg"])) for item in error.errors()]
        return respond("api.invalid", faults=tuple(faults[:20]))

    @app.exception_handler(CursorError)
    def lost(request: Request, error: CursorError) -> Response:
        return respond("api.invalid", faults=(Fault("query.after", str(error)),))

    @app.exception_handler(RefusedError)
    def refused(request: Request, error: RefusedError) -> Response:
        return respond("api.refused", str(error))

    @app.exception_handler(PushError)
    def not_taken(request: Request, error: PushError) -> Response:
        if isinstance(error, PushFullError):
            reply = answer("api.busy", headers={"Retry-After": RETRY_S})
            return Response(reply.body(), reply.problem.status, dict(reply.headers), MEDIA_TYPE)
        code = "api.too-large" if isinstance(error, PushTooLargeError) else "api.invalid"
        return respond(code, faults=(Fault("body", str(error)),))

    @app.exception_handler(StoreError)
    def unavailable(request: Request, error: StoreError) -> Response:
        _log.error("%s: %s", error.code, error)
        return respond("api.unavailable", "The store can't be read; see the service's log.")


def _where(item: Mapping[str, Any]) -> str:
    place = [str(part) for part in item["loc"]]
    return place[0] + ".?" if item["type"] == "extra_forbidden" else ".".join(place)
