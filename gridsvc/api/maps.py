"""Pages for people are static files over the same HTTP calls; they ask no host but the service.

The page holds nothing of the city: what it shows it asks for, with the rights of its reader.
"""

import os
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import BaseModel
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gridsvc.api.deps import MaySeeAreas, SessionDep
from gridsvc.grids.scheme_store import current_scheme

router = APIRouter(tags=["maps"])

HERE = Path(str(files("gridsvc.api")))

# Nothing from elsewhere, nothing inline; Leaflet blanks an image with a data: address.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Files keep their names from release to release: ask whether they changed, by ETag.
    "Cache-Control": "no-cache",
}


class RoleTitle(BaseModel):
    """What the city calls the holders of a role."""

    code: str
    title: dict[str, str]


class CategoryTitle(BaseModel):
    """A class of events or components, to choose from."""

    code: str
    kind: str
    title: dict[str, str]


class CityFacts(BaseModel):
    """What a page must know of the city besides its layers."""

    title: dict[str, str]
    time_zone: str
    extent: tuple[float, float, float, float]
    """West, south, east, north: a generous box round the city, EPSG:4326, degrees."""
    roles: list[RoleTitle]
    categories: list[CategoryTitle]


@router.get("/", include_in_schema=False)
def front_page() -> RedirectResponse:
    """Lead whoever opens the bare address to the map."""
    return RedirectResponse("/maps/responsible")


@router.get("/maps/responsible", include_in_schema=False)
def responsible_page() -> FileResponse:
    """Give the page on which one clicks a point and sees who answers and why."""
    return FileResponse(
        HERE / "templates" / "responsible.html",
        media_type="text/html; charset=utf-8",
        headers=_HEADERS,
    )


@router.get("/maps/city.json", summary="The city's name, clock, extent, roles and categories")
def city_facts(session: SessionDep, _: MaySeeAreas) -> CityFacts:
    """Give the titles that the pages put to the codes of an answer."""
    scheme = current_scheme(session)
    return CityFacts(
        title=dict(scheme.title),
        time_zone=scheme.time_zone,
        extent=scheme.extent.bounds,
        roles=[RoleTitle(code=role.code, title=dict(role.title)) for role in scheme.roles],
        categories=[
            CategoryTitle(
                code=category.code,
                kind=category.kind,
                title={"zh": category.name_zh, "en": category.name_en},
            )
            for category in scheme.categories
        ],
    )


def mount_static(app: FastAPI) -> None:
    """Serve the pages' scripts, styles and images below `/static`."""
    app.mount("/static", _Static(directory=HERE / "static"), name="static")


class _Static(StaticFiles):
    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response
