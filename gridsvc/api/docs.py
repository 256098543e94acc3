"""The pages of /docs come whole from this service, for its networks reach no other."""

from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from pydantic.json_schema import models_json_schema

from gridsvc.api.problems import MEDIA_TYPE, Problem

_SCHEMAS = "#/components/schemas/"

ANY_PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong",
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
    }
}
"""Documents, for every call, how its errors look."""


def install(app: FastAPI) -> None:
    """Serve Swagger UI at /docs and describe problems in /openapi.json."""
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        # Relative to /docs, so that it works behind any path of a proxy.
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url="docs/assets/swagger-ui-bundle.js",
            swagger_css_url="docs/assets/swagger-ui.css",
            swagger_favicon_url="docs/assets/favicon-32x32.png",
        )

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            # Errors leave by handlers, of which FastAPI knows nothing.
            _, definitions = models_json_schema(
                [(Problem, "serialization")], ref_template=_SCHEMAS + "{model}"
            )
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            app.openapi_schema = schema
            for name, definition in definitions["$defs"].items():
                schemas.setdefault(name, definition)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it
