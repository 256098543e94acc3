"""Look-ups answered from memory, in front of the framework: most calls, at a tenth of its cost.

Only what is sure to be answered is taken here: a well-formed question, by a caller who may ask it
and sees names masked, that the newest revision answers. All else goes on to the routes of
`gridsvc.api.responsible`, which say what is wrong, log unmasked reads and ask the database for the
past. A test holds both to one document.
"""

import asyncio
import time
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridsvc.api.batches import batch_json
from gridsvc.api.requests import HEADER, MAX_BODY_BYTES, call_line, log, request_id_of
from gridsvc.api.responsible import PATH, PointQuery
from gridsvc.errors import GridsvcError
from gridsvc.grids.keys import Scope as KeyScope
from gridsvc.routing.answering import NotHeld
from gridsvc.routing.router import Question

ACCURACY_MAX_M = 200.0
"""A wider disc of error touches so many areas that other callers would wait for its answer."""

LOG_EVERY_S = 0.2
"""Lines of the log wait so long for others: to write each by itself takes as long as an answer."""

_MAY_LOCATE = frozenset({KeyScope.LOCATE, KeyScope.REPORT, KeyScope.ADMIN})
_FIELDS = frozenset(PointQuery.model_fields)
_JSON = b"application/json"
_REQUEST_ID = HEADER.lower().encode()


class Located:
    """Stands in front of the app.

    Args:
        app: Takes what is left over.
        state: The app's: `live`, `keyring`, `settings`.
    """

    def __init__(self, app: ASGIApp, *, state: State) -> None:
        self.app = app
        self.state = state
        self._lines: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a call."""
        if scope["type"] == "http" and scope["path"] == PATH:
            begun = time.perf_counter()
            headers = dict(scope["headers"])
            body: bytes | memoryview | None = None
            if self._may_ask(headers.get(b"authorization")):
                if scope["method"] == "GET":
                    body = self._one(scope["query_string"])
                elif scope["method"] == "POST" and headers.get(b"content-type") == _JSON:
                    body, receive = await self._many(receive)
            if body is not None:
                request_id = request_id_of(headers.get(_REQUEST_ID, b"").decode("latin-1"))
                await _send_json(send, body, request_id)
                self._note(scope["method"], begun, request_id)
                return
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "lifespan":
                self._write_lines()

    def _may_ask(self, authorization: bytes | None) -> bool:
        """Tell whether the caller may ask and is told masked names."""
        if authorization is None:
            return not self.state.settings.api_keys_required
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return False
        key = self.state.keyring.find(token.strip())
        return (
            key is not None
            and not _MAY_LOCATE.isdisjoint(key.scopes)
            and KeyScope.PEOPLE_READ not in key.scopes
        )

    def _one(self, query: bytes) -> bytes | None:
        """Answer a question, if that is sure."""
        live = self.state.live
        answerer = live.answerer
        if answerer is None:
            return None
        pairs = _pairs(query.decode("latin-1"))
        fields: dict[str, Any] = dict(pairs)
        if len(fields) != len(pairs) or not _FIELDS.issuperset(fields):
            return None
        try:
            point = PointQuery.model_validate(fields)
            if (point.accuracy_m or 0.0) > ACCURACY_MAX_M:
                return None
            question = Question(
                x=point.lon,
                y=point.lat,
                crs=point.crs,
                at=point.at,
                category=point.category,
                accuracy_m=point.accuracy_m,
            )
            answer: bytes = answerer.answer_json(question, is_stale=live.is_stale)
        except (ValidationError, GridsvcError, NotHeld):
            return None
        return answer

    async def _many(self, receive: Receive) -> tuple[memoryview | None, Receive]:
        """Answer a batch, if that is sure; give besides how to receive its body again."""
        messages: list[Message] = []
        body = bytearray()
        more = True
        while more and len(body) <= MAX_BODY_BYTES:
            message = await receive()
            messages.append(message)
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
        live = self.state.live
        answers: memoryview | None = None
        if live.answerer is not None and not more and messages[-1]["type"] == "http.request":
            # In a thread, and most of it without the interpreter's lock: others need not wait.
            answers = await run_in_threadpool(
                batch_json, live.answerer, bytes(body), is_stale=live.is_stale
            )
        waiting = iter(messages)

        async def receive_again() -> Message:
            for message in waiting:
                return message
            return await receive()

        return answers, receive_again

    def _note(self, method: str, begun: float, request_id: str) -> None:
        """Keep a line for the log."""
        if not self._lines:
            asyncio.get_running_loop().call_later(LOG_EVERY_S, self._write_lines)
        ms = (time.perf_counter() - begun) * 1000
        self._lines.append(call_line(method, PATH, 200, ms, request_id))

    def _write_lines(self) -> None:
        if self._lines:
            log.info("\n".join(self._lines))
            self._lines.clear()


def _pairs(query: str) -> list[tuple[str, str]]:
    """Take a query apart as `parse_qsl` does, which takes its time where nothing is escaped."""
    if "%" in query or "+" in query:
        return parse_qsl(query, keep_blank_values=True)
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in parts]


async def _send_json(send: Send, body: bytes | memoryview, request_id: str) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-length", b"%d" % len(body)),
                (b"content-type", b"application/json"),
                (_REQUEST_ID, request_id.encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
