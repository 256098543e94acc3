"""Planners: logins of the database that edit or look at boundaries in QGIS, each on its ground."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from gridsvc.errors import PlannerError
from gridsvc.grids import models
from gridsvc.grids.terms import LayerKind

MAX_LOGIN_BYTES = 63
"""PostgreSQL cuts longer names."""


class PlannerRole(StrEnum):
    """What a login may do in the edit views."""

    PLANNER = "planner"
    """Edits its own ground."""
    CHIEF = "chief"
    """Edits everywhere, publishes anybody's change sets, rolls back."""
    VIEWER = "viewer"
    """Looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerInfo:
    """One login.

    Attributes:
        login: Its name in the database.
        role: What it may do.
        ground: Layer and code of the areas in which a planner may edit.
        publishes: Whether a planner publishes change sets of its own.
    """

    login: str
    role: PlannerRole
    ground: tuple[tuple[str, str], ...] = ()
    publishes: bool = False


def add_planner(session: Session, planner: PlannerInfo, *, password: str | None) -> bool:
    """Make a login with its rights, or change those of one that was made here.

    The password leaves this process as a SCRAM verifier only, so that no log can hold it.

    Args:
        session: The caller's transaction; its user must be allowed to make roles.
        planner: Of a planner the ground is checked against the live areas.
        password: None keeps the one that a known login has.

    Returns:
        Whether it is new.

    Raises:
        PlannerError: the name is another login's already, or is no name; a new login has no
            password; an area is not there.
    """
    login = planner.login
    if not login or login != login.strip() or len(login.encode()) > MAX_LOGIN_BYTES:
        raise PlannerError(
            f"{login!r} cannot be a login's name",
            remedy=f"Use 1 to {MAX_LOGIN_BYTES} bytes without spaces at the ends",
        )
    known = session.get(models.Planner, login)
    exists = session.scalar(
        text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :login)"), {"login": login}
    )
    if exists and known is None:
        raise PlannerError(
            f"The database has a login {login!r} that is not a planner's",
            remedy="Choose another name",
        )
    if password is None and not exists:
        raise PlannerError(f"{login} is new and has no password", remedy="Give one")
    connection = _driver(session)
    role = Identifier(login)
    if not exists:
        _run(session, SQL("CREATE ROLE {} LOGIN").format(role))
    if password is not None:
        verifier = connection.pgconn.encrypt_password(
            password.encode(), login.encode(), b"scram-sha-256"
        )
        _run(
            session,
            SQL("ALTER ROLE {} PASSWORD {}").format(role, Literal(verifier.decode())),
        )
    for other in PlannerRole:
        group = Identifier(f"gridsvc_{other.value}")
        verb = SQL("GRANT {} TO {}") if other is planner.role else SQL("REVOKE {} FROM {}")
        _run(session, verb.format(group, role))
    if known is None:
        known = models.Planner(login=login)
        session.add(known)
    known.role = planner.role.value
    known.publishes = planner.publishes
    session.flush()
    session.execute(delete(models.PlannerArea).where(models.PlannerArea.login == login))
    session.add_all(
        models.PlannerArea(login=login, layer=layer, area_code=code)
        for layer, code in planner.ground
    )
    session.flush()
    return not exists


def remove_planner(session: Session, login: str) -> None:
    """Take a planner's login away; what it proposed and published stays on record.

    Raises:
        PlannerError: there is no such planner.
    """
    names = [one.login for one in list_planners(session)]
    if login not in names:
        raise PlannerError(
            f"There is no planner {login!r}",
            remedy=f"Name one of {', '.join(names)}" if names else "None was made yet",
        )
    session.execute(delete(models.Planner).where(models.Planner.login == login))
    _run(session, SQL("DROP ROLE IF EXISTS {}").format(Identifier(login)))


def list_planners(session: Session) -> list[PlannerInfo]:
    """List the logins by name, without those of the service's own."""
    ground: dict[str, list[tuple[str, str]]] = {}
    for row in session.scalars(
        select(models.PlannerArea).order_by(models.PlannerArea.layer, models.PlannerArea.area_code)
    ):
        ground.setdefault(row.login, []).append((row.layer, row.area_code))
    return [
        PlannerInfo(
            login=row.login,
            role=PlannerRole(row.role),
            ground=tuple(ground.get(row.login, ())),
            publishes=row.publishes,
        )
        for row in session.scalars(
            select(models.Planner)
            .where(models.Planner.login != func.current_user())
            .order_by(models.Planner.login)
        )
    ]


def find_ground(session: Session, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Find the live areas of tiling layers that codes name.

    Args:
        session: At any.
        names: Codes; `layer:code` where several layers have the code.

    Raises:
        PlannerError: a code is nobody's, or that of several layers.
    """
    found = []
    for name in names:
        layer, colon, code = name.partition(":")
        code = code if colon else name
        live = select(models.Area.layer).join(models.Layer, models.Layer.code == models.Area.layer)
        layers = session.scalars(
            live.where(
                models.Area.code == code,
                models.Area.rev_to.is_(None),
                models.Area.valid_to.is_(None) | (models.Area.valid_to > func.now()),
                models.Layer.kind == LayerKind.TILING.value,
                *((models.Area.layer == layer,) if colon else ()),
            ).distinct()
        ).all()
        if not layers:
            raise PlannerError(
                f"No area of a tiling layer has the code {name}",
                remedy="Name a live street, or another area that tiles its layer, by its code",
            )
        if len(layers) > 1:
            raise PlannerError(
                f"{code} is an area of {' and of '.join(sorted(layers))}",
                remedy=f"Write {min(layers)}:{code}",
            )
        found.append((layers[0], code))
    return tuple(found)


def _driver(session: Session) -> "Connection[tuple[object, ...]]":
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, Connection):  # pragma: no cover -- gridsvc.db makes no other
        raise TypeError(f"psycopg's connection is needed, not {type(raw)}")
    return raw


def _run(session: Session, statement: Composed) -> None:
    """Run a statement about roles, which takes no bound parameters; psycopg quotes its parts."""
    _driver(session).execute(statement)
