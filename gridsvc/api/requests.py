"""What surrounds every call: an id, one line in the log, a limit on its body, the last resort.

A line names the route's template, never the path or the query: a report's coordinates are as good
as its sender's address. For the same reason the log of an unforeseen error has the places in the
code and the kinds of error, but not their messages, which repeat values.
"""

import itertools
import logging
import re
import secrets
import time
import traceback
from typing import Any

import orjson
from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridsvc.api import problems

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"

# A caller's id goes into the log as it is, so only what cannot break a line is taken.
_TAKEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_PROCESS = secrets.randbits(64)
_numbers = itertools.count()

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Ten thousand points with every field are under half of it."""


class Requests:
    """ASGI middleware round the whole app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a call."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope).get(HEADER, ""))
        scope.setdefault("state", {})["request_id"] = request_id
        begun = time.perf_counter()
        status: int | None = None
        unforeseen: Exception | None = None
        received_bytes = 0

        async def counted_receive() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > MAX_BODY_BYTES:
                # FastAPI takes any other exception for a broken body.
                raise HTTPException(
                    413, f"The body has more than {MAX_BODY_BYTES:,} bytes. Send it in parts."
                )
            return message

        async def marked_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self.app(scope, counted_receive, marked_send)
        except Exception as error:  # noqa: BLE001  the last resort
            unforeseen = error
            if status is None:
                response = problems.respond(
                    Request(scope),
                    problems.UNFORESEEN,
                    detail=f"The service failed. Its log has more under {request_id}.",
                )
                await response(scope, receive, marked_send)
        finally:
            _log(scope, status, begun, request_id, unforeseen)


def request_id_of(given: str) -> str:
    """Take over a caller's id for a call, or make one."""
    if given and _TAKEN_ID.fullmatch(given):
        return given
    # Random for the process, then counted: as unique, and no call of the system.
    return f"{_PROCESS:016x}{next(_numbers):016x}"


def call_line(method: str, route: str, status: int, ms: float, request_id: str) -> str:
    """Write the line of a call that was answered in front of the framework."""
    # The id is a word, see _TAKEN_ID, so nothing needs to be escaped.
    return (
        f'{{"method":"{method}","route":"{route}","status":{status},"ms":{ms:.1f},'
        f'"request_id":"{request_id}"}}'
    )


def _log(
    scope: Scope, status: int | None, begun: float, request_id: str, error: Exception | None
) -> None:
    line: dict[str, Any] = {
        "method": scope["method"],
        "route": getattr(scope.get("route"), "path", None),
        "status": status,
        "ms": round((time.perf_counter() - begun) * 1000, 1),
        "request_id": request_id,
    }
    line |= {key: scope["state"][key] for key in ("problem", "cause") if key in scope["state"]}
    if error is not None:
        line |= {
            "error": _names(error),
            "trace": [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)
            ],
        }
    log.log(logging.ERROR if error else logging.INFO, orjson.dumps(line).decode())


def _names(error: BaseException | None) -> list[str]:
    names = []
    while error is not None:
        names.append(f"{type(error).__module__}.{type(error).__qualname__}")
        error = error.__cause__ or error.__context__
    return names
