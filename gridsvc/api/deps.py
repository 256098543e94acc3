"""What endpoints ask for: a session of one snapshot, and the caller with what it may do."""

import base64
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from gridsvc.errors import KeyRefused, ScopeMissing
from gridsvc.grids.keys import Key, Scope, authenticate, log_unmasked_read
from gridsvc.reports.shared_commits import Intake

# Without keys, which is for loopback only, all but names and phones is open.
_KEYLESS = frozenset(Scope) - {Scope.PEOPLE_READ}

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key of this service with the scope that the call names; where a client knows "
    "HTTP Basic only, the key as the password. On loopback the service may run without keys.",
)


def get_session(request: Request) -> Iterator[Session]:
    """Open a transaction; it is committed before the response leaves."""
    with request.app.state.sessions.begin() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session, scope="function")]


def get_writing_session(request: Request) -> Iterator[Session]:
    """Open a transaction that sees what others commit meanwhile; committed in the same way."""
    with request.app.state.writing_sessions.begin() as session:
        yield session


async def get_intake(request: Request) -> Intake:
    """Give what files reports; it has its own connections."""
    intake: Intake = request.app.state.intake
    return intake


IntakeDep = Annotated[Intake, Depends(get_intake)]

WritingSessionDep = Annotated[Session, Depends(get_writing_session, scope="function")]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, in which call.

    Attributes:
        key_id: None where keys are not asked for.
        scopes: What is allowed.
        request_id: Of the call.
        path: Of the call, without its query.
    """

    key_id: int | None
    scopes: frozenset[Scope]
    request_id: str
    path: str

    @property
    def name(self) -> str:
        """Tells callers apart; all without a key are one."""
        return "keyless" if self.key_id is None else f"key:{self.key_id}"

    @property
    def reveal(self) -> bool:
        """Whether names and phones may be shown in full."""
        return Scope.PEOPLE_READ in self.scopes

    def log_read(self, session: Session, party_codes: Collection[str]) -> None:
        """Write down an unmasked read; a masked one leaves no trace."""
        if self.reveal:
            log_unmasked_read(
                session,
                key_id=self.key_id,
                request_id=self.request_id,
                path=self.path,
                party_codes=party_codes,
            )


def get_caller(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: SessionDep,
) -> Caller:
    """Find out who calls.

    Raises:
        KeyRefused: there is no key where one is asked for, or it is not in force.
    """
    return find_caller(request, credentials.credentials if credentials else None, session)


def get_writing_caller(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: WritingSessionDep,
) -> Caller:
    """Find out who calls, in the transaction that writes: a second one could starve the pool.

    Raises:
        KeyRefused: as `get_caller`.
    """
    return find_caller(request, credentials.credentials if credentials else None, session)


async def get_filing_caller(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Find out who calls, and hold no connection while the report waits for its commit.

    Raises:
        KeyRefused: as `get_caller`.
    """
    return await find_filing_caller(request, credentials.credentials if credentials else None)


async def find_filing_caller(request: Request, token: str | None) -> Caller:
    """Find out whose key it is; the database is asked only for one that memory does not know.

    Raises:
        KeyRefused: as `get_caller`.
    """
    token = token or _basic_password(request)
    key = None if token is None else request.app.state.keyring.find(token)
    if token is not None and key is None:
        key = await run_in_threadpool(_authenticate, request, token)
    return _caller(request, token, key)


def _authenticate(request: Request, token: str) -> Key | None:
    with request.app.state.sessions() as session:
        return authenticate(session, token)


def find_caller(request: Request, token: str | None, session: Session) -> Caller:
    """Find out whose key it is, or whether the service runs without keys.

    Raises:
        KeyRefused: as `get_caller`.
    """
    token = token or _basic_password(request)
    return _caller(request, token, None if token is None else authenticate(session, token))


def _caller(request: Request, token: str | None, key: Key | None) -> Caller:
    """Say who calls with a token, of which the key in force is given."""
    key_id, scopes = None, _KEYLESS
    if token is not None:
        if key is None:
            raise KeyRefused(given=True)
        key_id, scopes = key.id, frozenset(key.scopes)
    elif request.app.state.settings.api_keys_required:
        raise KeyRefused(given=False)
    return Caller(key_id, scopes, request.state.request_id, request.url.path)


def _basic_password(request: Request) -> str | None:
    """Read a key that came as the password of HTTP Basic, all that some viewers can send.

    The user's name is not looked at. It is never asked for in this way: a browser would put up
    its own form.
    """
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[2]
    except ValueError:  # no base64, or no UTF-8
        return ""


def require(*any_of: Scope, found_by: Callable[..., Caller] = get_caller) -> Any:  # noqa: ANN401  as FastAPI's own Depends
    """Ask for a caller that has one of these scopes, or `admin`."""

    async def check(caller: Annotated[Caller, Depends(found_by)]) -> Caller:
        if not caller.scopes & {*any_of, Scope.ADMIN}:
            raise ScopeMissing(any_of, held=tuple(sorted(caller.scopes)))
        return caller

    return Depends(check)


MayLocate = Annotated[Caller, require(Scope.LOCATE, Scope.REPORT)]
"""Asks who is responsible."""
MaySeeAreas = Annotated[Caller, require(Scope.LOCATE, Scope.REPORT, Scope.PLAN, Scope.MANAGE)]
"""Reads layers and areas, in which nothing is personal."""
MaySeePeople = Annotated[Caller, require(Scope.PLAN, Scope.MANAGE, Scope.PEOPLE_READ)]
"""Reads who holds what."""
MayFile = Annotated[Caller, require(Scope.REPORT, found_by=get_filing_caller)]
"""Files reports."""
MayAct = Annotated[Caller, require(Scope.REPORT, found_by=get_writing_caller)]
"""Acts on the cases of reports."""
MaySeeReports = Annotated[Caller, require(Scope.REPORT, Scope.MANAGE)]
"""Reads reports, in which names and phones are masked, and cases."""
MaySeeCredit = Annotated[Caller, require(Scope.REPORT)]
"""Asks what its own reporters have earned."""
MaySeeRecords = Annotated[Caller, require(Scope.MANAGE)]
"""Reads the record of an area or a party."""
MayFindHotspots = Annotated[Caller, require(Scope.MANAGE, found_by=get_writing_caller)]
"""Asks where cases gather; what is found is kept."""
