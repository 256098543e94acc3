"""`python -m tools.bench.servers APP PORT CORE`: one of the servers that HTTP benches compare.

All run on the service's own server with its settings: one process, one core.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from starlette.types import ASGIApp, Receive, Scope, Send

from gridsvc.api.app import create_app
from gridsvc.cli.serve import LOGGING
from gridsvc.db import create_engine

# What a service without ladders, people or times would ask PostGIS of one point.
COVERING = text("""
SELECT a.layer, a.code, a.name FROM gridsvc.area AS a
WHERE a.rev_to IS NULL AND a.layer = ANY(:layers)
  AND ST_Covers(a.boundary, ST_Transform(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), :srid))
""")


def bare() -> ASGIApp:
    """Make an ASGI app that replies with the same bytes, and does nothing else."""
    body = Path(os.environ["GRIDSVC_BENCH_REPLY"]).read_bytes()
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ],
    }
    rest = {"type": "http.response.body", "body": body}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send(start)
        await send(rest)

    return app


def pooled_sql() -> FastAPI:
    """Make the app that most would write: FastAPI, a pool of connections, one query a request."""
    engine = create_engine(os.environ["GRIDSVC_DATABASE_URL"], pool_size=CONNECTIONS)
    with engine.connect() as connection:
        layers = [row.code for row in connection.execute(text("SELECT code FROM gridsvc.layer"))]
        srid = connection.scalar(text("SELECT Find_SRID('gridsvc', 'area', 'boundary')"))
    app = FastAPI()
    extra = json.loads(Path(os.environ["GRIDSVC_BENCH_REPLY"]).read_text(encoding="utf-8"))

    @app.get("/v1/responsible")
    def responsible(lon: float, lat: float) -> dict[str, Any]:
        with engine.connect() as connection:
            rows = connection.execute(
                COVERING, {"lon": lon, "lat": lat, "srid": srid, "layers": layers}
            ).all()
        areas = {row.layer: {"code": row.code, "name": row.name} for row in rows}
        return extra | {"point": {"lon": lon, "lat": lat}, "areas": areas}

    return app


CONNECTIONS = 16
APPS = {"gridsvc": create_app, "bare ASGI": bare, "FastAPI, pooled SQL": pooled_sql}


def main(app: str, port: int, core: int) -> None:
    """Serve."""
    os.sched_setaffinity(0, {core})
    uvicorn.run(APPS[app](), host="127.0.0.1", port=port, log_config=LOGGING, access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
