"""The app is made of settings and nothing else, so that a test or a worker makes its own."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from sqlalchemy.orm import sessionmaker
from starlette.types import Receive, Scope, Send

from gridsvc.api import (
    areas,
    cases,
    components,
    credit,
    docs,
    health,
    hotspot_map,
    hotspots,
    indicators,
    maps,
    ogc,
    open311,
    people,
    problems,
    reports,
    responsible,
    tiles,
    zones,
)
from gridsvc.api.climbing import climbing
from gridsvc.api.located import Located
from gridsvc.api.requests import Requests
from gridsvc.db import create_engine
from gridsvc.errors import SettingsError
from gridsvc.grids import keys
from gridsvc.reports.shared_commits import taking_in
from gridsvc.routing.live import REVISIONS, Live, following, kept_folder
from gridsvc.settings import Settings

SERVICE_ROLE = "gridsvc_service"
"""May read everything, add reports with their answers, act on cases, and log reads."""

DESCRIPTION = """
Errors are problems of RFC 9457, `application/problem+json`; their `type` is
`urn:gridsvc:problem:NAME`, a stable name. Times are RFC 3339 with an offset. Answers about
areas and people name the `revision` they came from. `X-Request-ID` is taken over if given, and
is in every response.
"""


class Service(FastAPI):
    """The framework's app, and in front of all its layers what answers look-ups."""

    located: Located

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a call."""
        await self.located(scope, receive, send)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the app.

    Whoever serves it without keys (`api_keys_required=False`) must bind it to loopback.

    Args:
        settings: How to run; read from the environment where left out, as a server's workers do.

    Raises:
        SettingsError: no database is named. The embedded one is for the caller to start.
    """
    settings = settings or Settings()
    if settings.database_url is None:
        raise SettingsError(
            "The API has no database: GRIDSVC_DATABASE_URL is not set",
            remedy="Set it, or start with `gridsvc serve`, which runs the embedded one",
        )
    url = settings.database_url.get_secret_value()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(
            url, role=SERVICE_ROLE, statement_timeout_s=settings.statement_timeout_s
        )
        # Parameters are people's places and names; an error's text must not hold them.
        engine.hide_parameters = True
        # One snapshot a call: a publish in its middle must not mix two revisions.
        reading = engine.execution_options(isolation_level="REPEATABLE READ")
        app.state.sessions = sessionmaker(reading)
        # What is told twice at once must be seen by the second; SQLAlchemy shares the pool.
        app.state.writing_sessions = sessionmaker(engine)
        live, keyring = app.state.live, app.state.keyring
        folder = kept_folder(settings.home, engine)
        if folder.is_dir():  # made by who serves and has a place for it
            live.folder = folder
            live.open_kept()
        make_engine = partial(
            create_engine,
            url,
            role=SERVICE_ROLE,
            statement_timeout_s=settings.statement_timeout_s,
        )
        channels = {REVISIONS: live.refresh, keys.CHANGED: keyring.refresh}
        with (
            following(reading, channels, lost=live.lose),
            climbing(app.state.writing_sessions, interval_s=settings.escalation_interval_s),
            taking_in(make_engine, answer_each=live.answer_newest) as app.state.intake,
        ):
            # What is loaded stays: looking through it for garbage would hold up answers.
            gc.collect()
            gc.freeze()
            yield
        live.close()
        engine.dispose()

    app = Service(
        title="gridsvc",
        summary="Who is responsible here, for this, at this moment?",
        description=DESCRIPTION,
        version=version("gridsvc"),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=docs.ANY_PROBLEM,
    )
    app.state.settings = settings
    app.state.live = Live()
    app.state.keyring = keys.Keyring()
    app.add_middleware(Requests)
    app.located = Located(partial(FastAPI.__call__, app), state=app.state)
    app.state.layer_facts = {}
    app.state.hotspot_surveys = hotspot_map.KeptSurveys()
    problems.install(
        app,
        {
            open311.PREFIX: open311.tell_problem,
            ogc.PREFIX: ogc.tell_problem,
            tiles.PREFIX: ogc.tell_problem,
        },
    )
    docs.install(app)
    for module in (
        *(health, responsible, reports, cases, credit, open311, indicators, hotspots),
        *(areas, people, components, zones, maps, hotspot_map, ogc, tiles),
    ):
        app.include_router(module.router)
    maps.mount_static(app)
    return app
