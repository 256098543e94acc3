"""API keys: a key is shown once, its hash is kept, and each unmasked read by it is written down.

A key is 256 random bits, so a plain SHA-256 is a safe hash: there is nothing to guess, and no
salt or slow hash would make guessing harder.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gridsvc.errors import KeyNameTaken, UnknownKey, UnknownScope
from gridsvc.grids.models import ApiKey, ReadLog

PREFIX = "gridsvc_"
"""Begins every key, so that people and secret scanners tell what it is."""

TOKEN_BYTES = 32

CHANGED = "gridsvc_key"
"""The channel on which it is told that a key was made or ended."""


class Scope(StrEnum):
    """What a key allows; `admin` allows all but reading names and phones."""

    LOCATE = "locate"
    REPORT = "report"
    PLAN = "plan"
    MANAGE = "manage"
    PEOPLE_READ = "people:read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key without its secret."""

    id: int
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    revoked_at: datetime | None


def create_key(session: Session, *, name: str, scopes: Collection[str]) -> tuple[str, Key]:
    """Make a key.

    Returns:
        The key as its holder sends it, which is kept nowhere, and the record of it.

    Raises:
        UnknownScope: a scope is not one of `Scope`, or there is none.
        KeyNameTaken: a key of this name exists or did.
    """
    known = tuple(Scope)
    for scope in scopes or ("",):
        if scope not in known:
            raise UnknownScope(scope, known=known)
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    record = ApiKey(name=name, key_hash=_digest(token), scopes=[s for s in known if s in scopes])
    try:
        with session.begin_nested():
            session.add(record)
    except IntegrityError as error:
        raise KeyNameTaken(name) from error
    _tell_changed(session)
    return token, _key(record)


def list_keys(session: Session) -> list[Key]:
    """Give all keys, revoked ones too, the oldest first."""
    return [_key(record) for record in session.scalars(select(ApiKey).order_by(ApiKey.id))]


def revoke_key(session: Session, *, name: str) -> Key:
    """End a key; calls with it are refused once its commit is seen, see `Keyring`.

    Raises:
        UnknownKey: no key in force bears the name.
    """
    record = session.scalars(
        update(ApiKey)
        .where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey)
    ).one_or_none()
    if record is None:
        raise UnknownKey(name)
    _tell_changed(session)
    return _key(record)


def authenticate(session: Session, token: str) -> Key | None:
    """Find the key in force that a caller holds; None where there is none.

    The database is asked for the hash, of which a caller cannot choose the first bytes, so the
    time an index takes tells nothing; the last comparison takes the same time for any hash.
    """
    digest = _digest(token)
    record = session.scalars(
        select(ApiKey).where(ApiKey.key_hash == digest, ApiKey.revoked_at.is_(None))
    ).one_or_none()
    if record is None or not hmac.compare_digest(record.key_hash, digest):
        return None
    return _key(record)


def log_unmasked_read(
    session: Session,
    *,
    key_id: int | None,
    request_id: str,
    path: str,
    party_codes: Collection[str],
) -> None:
    """Write down whose names and phones a caller was given, in the transaction of the read.

    Args:
        session: The one that read them.
        key_id: The caller's key.
        request_id: As in the service's log.
        path: Of the call, without its query, which may hold a reporter's coordinates.
        party_codes: Each is written once; where there is none, nothing is written.
    """
    if party_codes:
        session.execute(
            insert(ReadLog).values(
                api_key_id=key_id,
                request_id=request_id,
                path=path,
                party_codes=sorted(set(party_codes)),
            )
        )


class Keyring:
    """The keys in force, in memory, so that a look-up needs no database to know who calls.

    It is as fresh as its last refresh: a key that ends is refused as soon as the message of it
    arrives, some milliseconds after the commit, and after a second at the latest.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, Key] = {}

    def refresh(self, connection: Connection) -> None:
        """Read the keys in force anew."""
        with Session(connection) as session:
            records = session.scalars(select(ApiKey).where(ApiKey.revoked_at.is_(None)))
            self._keys = {record.key_hash: _key(record) for record in records}

    def find(self, token: str) -> Key | None:
        """Find the key in force that a caller holds; None where there is none.

        As for `authenticate`: a caller cannot choose the first bytes of a hash.
        """
        return self._keys.get(_digest(token))


def _tell_changed(session: Session) -> None:
    session.execute(select(func.pg_notify(CHANGED, "")))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _key(record: ApiKey) -> Key:
    return Key(
        id=record.id,
        name=record.name,
        scopes=tuple(Scope(scope) for scope in record.scopes),
        created_at=record.created_at,
        revoked_at=record.revoked_at,
    )
