"""What a planner is handed: the project, the way to the database, and a page that explains both."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import URL, make_url
from sqlalchemy.orm import Session

from gridsvc.errors import PackageRefused
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.grids.terms import DrawnAs, LayerKind
from gridsvc.qgis.ground import survey
from gridsvc.qgis.project import project, title

SERVICE = "gridsvc"
PROJECT_FILE = "gridsvc.qgz"
SERVICE_FILE = "pg_service.conf"
GUIDE_FILE = "guide.html"

_POSTGRES_PORT = 5432

_pages = Environment(
    loader=PackageLoader("gridsvc.qgis"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where planners' machines reach the database; a login and a password are each planner's own.

    Attributes:
        host: Name or number; never a socket.
        port: Of PostgreSQL.
        dbname: Name of the database.
    """

    host: str
    port: int
    dbname: str

    @property
    def is_here_only(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


def address(
    url: str, *, host: str | None = None, port: int | None = None, dbname: str | None = None
) -> Address:
    """Give the address in a database's URL, in the parts that are not told otherwise.

    Raises:
        PackageRefused: the URL names a socket, which no other machine reaches.
    """
    parsed: URL = make_url(url)
    found = host or parsed.host or str(parsed.query.get("host", ""))
    if not found or found.startswith(("/", "@", ".")):
        raise PackageRefused(
            "The database",
            "is reached through a socket, which planners' machines cannot",
            remedy="Name the address that they reach it at with --host",
        )
    asked = parsed.query.get("port")
    return Address(
        host=found,
        port=port or parsed.port or int(str(asked or _POSTGRES_PORT)),
        dbname=dbname or parsed.database or "",
    )


def write_package(session: Session, folder: Path, *, to: Address, service: str = SERVICE) -> Scheme:
    """Write the package of the city in the database.

    Args:
        session: Of the database with the city.
        folder: Where to; made where it is missing.
        to: Where planners find the database.
        service: What the connection is called on their machines.

    Returns:
        The city's scheme.

    Raises:
        NothingLoaded: there is no city.
        PackageRefused: the folder holds something already, or cannot be written.
    """
    scheme = current_scheme(session)
    ground = survey(session, scheme)
    _require_empty(folder)
    made = dict(_files(scheme, project(scheme, ground, service=service), to=to, service=service))
    try:
        for name, content in made.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    except OSError as error:
        raise PackageRefused(
            f"{error.filename or folder}",
            f"cannot be written: {error.strerror}",
            remedy="Name a folder that you may write to",
        ) from error
    return scheme


def _require_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise PackageRefused(f"{folder}", "is a file", remedy="Name a folder, a new one or empty")
    if folder.is_dir() and any(folder.iterdir()):
        raise PackageRefused(
            f"{folder}",
            "is not empty, and what is in it may be somebody's work",
            remedy="Name a new folder, or empty this one first",
        )


def _files(
    scheme: Scheme, project_text: bytes, *, to: Address, service: str
) -> Iterator[tuple[str, bytes]]:
    yield PROJECT_FILE, _zipped(project_text)
    yield SERVICE_FILE, _service_text(to, service).encode()
    yield GUIDE_FILE, _guide(scheme, to=to, service=service).encode()
    for picture in sorted((files("gridsvc.qgis") / "pictures").iterdir(), key=lambda it: it.name):
        yield f"pictures/{picture.name}", picture.read_bytes()


def _zipped(project_text: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        # A fixed time, so that the same city gives the same bytes.
        entry = zipfile.ZipInfo(f"{Path(PROJECT_FILE).stem}.qgs")
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, project_text)
    return packed.getvalue()


def _service_text(to: Address, service: str) -> str:
    return _pages.get_template("pg_service.conf").render(to=to, service=service) + "\n"


def _guide(scheme: Scheme, *, to: Address, service: str) -> str:
    titles = {
        drawn_as: [
            {language: layer.title.get(language, layer.code) for language in ("zh", "en")}
            for layer in scheme.layers
            if layer.kind is LayerKind.OVERLAY and layer.drawn_as is drawn_as
        ]
        for drawn_as in DrawnAs
    }
    page = _pages.get_template("guide.html").render(
        name=title(scheme.title, scheme.code),
        to=to,
        service=service,
        overlays=titles[DrawnAs.POLYGON],
        lines=titles[DrawnAs.LINE],
        project_file=PROJECT_FILE,
        service_file=SERVICE_FILE,
    )
    return f"{page}\n"
