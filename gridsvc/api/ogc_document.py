"""The OpenAPI 3.0 document that OGC API clients read, made from the scheme's layers.

/openapi.json describes the whole service in OpenAPI 3.1, with the layer as a parameter. Clients of
OGC API know 3.0, look for limits under `components/parameters/limit`, and send a filter to the
server only where the path of a collection is spelled out with the parameters that it takes.
"""

from collections.abc import Sequence
from typing import Any

from gridsvc.crs import Crs
from gridsvc.grids.areas import LayerRow

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
"""WGS 84, longitude before latitude: what everything is told in where nothing is said."""

MEDIA_TYPE = "application/vnd.oai.openapi+json;version=3.0"

_SCHEMAS = "#/components/schemas/"
_PARAMETERS = "#/components/parameters/"

_LINK = {
    "type": "object",
    "required": ["href", "rel"],
    "properties": {
        name: {"type": "string"} for name in ("href", "rel", "type", "hreflang", "title")
    },
}
_LINKS = {"type": "array", "items": {"$ref": f"{_SCHEMAS}link"}}
_INSTANT = {"type": "string", "format": "date-time", "nullable": True}
_COLLECTION = {
    "type": "object",
    "required": ["id", "links"],
    "properties": {
        "id": {"type": "string"},
        "title": {"type": "string"},
        "titles": {"type": "object", "additionalProperties": {"type": "string"}},
        "description": {"type": "string"},
        "itemType": {"type": "string", "enum": ["feature"]},
        "crs": {"type": "array", "items": {"type": "string", "format": "uri"}},
        "storageCrs": {"type": "string", "format": "uri"},
        "extent": {
            "type": "object",
            "properties": {
                "spatial": {
                    "type": "object",
                    "properties": {
                        "bbox": {
                            "type": "array",
                            "items": {
                                "type": "array",
                                "minItems": 4,
                                "maxItems": 4,
                                "items": {"type": "number"},
                            },
                        },
                        "crs": {"type": "string", "enum": [CRS84]},
                    },
                },
                "temporal": {
                    "type": "object",
                    "properties": {
                        "interval": {
                            "type": "array",
                            "items": {
                                "type": "array",
                                "minItems": 2,
                                "maxItems": 2,
                                "items": _INSTANT,
                            },
                        },
                    },
                },
            },
        },
        "revision": {"type": "integer"},
        "links": _LINKS,
    },
}
_FEATURE = {
    "type": "object",
    "required": ["type", "id", "geometry", "properties"],
    "properties": {
        "type": {"type": "string", "enum": ["Feature"]},
        "id": {"type": "string"},
        "geometry": {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {
                "type": {"type": "string", "enum": ["MultiPolygon"]},
                "coordinates": {
                    "type": "array",
                    "items": {
                        "type": "array",
                        "items": {
                            "type": "array",
                            "minItems": 4,
                            "items": {
                                "type": "array",
                                "minItems": 2,
                                "items": {"type": "number"},
                            },
                        },
                    },
                },
            },
        },
        "properties": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "name": {"type": "string", "nullable": True},
                "valid_from": _INSTANT,
                "valid_to": _INSTANT,
            },
        },
        "links": _LINKS,
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_COUNT = {"type": "integer", "minimum": 0}


def crs_uri(crs: Crs) -> str:
    """Name a system as OGC does."""
    return f"http://www.opengis.net/def/crs/EPSG/0/{crs.epsg}"


def api_document(  # noqa: PLR0913  what differs from city to city
    *,
    title: str,
    version: str,
    server: str,
    layers: Sequence[LayerRow],
    crs: Sequence[str],
    default_limit: int,
    max_limit: int,
) -> dict[str, Any]:
    """Describe the collections in OpenAPI 3.0.

    Args:
        title: The city's.
        version: The service's.
        server: Where the paths begin, without a slash at the end.
        layers: One collection each.
        crs: URIs of the systems that are told and taken.
        default_limit: Features of a page where nothing is said.
        max_limit: The most features of a page.
    """
    when = ("datetime",)
    paths: dict[str, Any] = {
        "/": _get("getLandingPage", "Where everything is", "landingPage", parameters=when),
        "/conformance": _get(
            "getConformance", "What standards are kept", "confClasses", parameters=when
        ),
        "/collections": _get("getCollections", "The layers", "collections", parameters=when),
    }
    for layer in layers:
        name = f"{layer.title['zh']} {layer.title['en']}"
        path, by = f"/collections/{layer.code}", f"_{layer.code}"
        paths[path] = _get(f"describe{by}", name, "collection", parameters=when)
        paths[f"{path}/items"] = _get(
            f"getFeatures{by}",
            f"{name}: areas, by page",
            "featureCollection",
            parameters=(
                *("bbox", "bbox-crs", "crs", "datetime", "limit", "code", "name"),
                "cursor",
            ),
        )
        paths[f"{path}/items/{{featureId}}"] = _get(
            f"getFeature{by}",
            f"{name}: one area",
            "feature",
            parameters=("featureId", "crs", "datetime"),
        )
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": version},
        "servers": [{"url": server}],
        "security": [{"key": []}, {"basic": []}, {}],
        "paths": paths,
        "components": {
            "parameters": _parameters(crs, default_limit, max_limit),
            "schemas": {
                "link": _LINK,
                "landingPage": {
                    "type": "object",
                    "required": ["links"],
                    "properties": {
                        "title": {"type": "string"},
                        "description": {"type": "string"},
                        "links": _LINKS,
                    },
                },
                "confClasses": {
                    "type": "object",
                    "required": ["conformsTo"],
                    "properties": {"conformsTo": {"type": "array", "items": {"type": "string"}}},
                },
                "collection": _COLLECTION,
                "collections": {
                    "type": "object",
                    "required": ["links", "collections"],
                    "properties": {
                        "links": _LINKS,
                        "collections": {
                            "type": "array",
                            "items": {"$ref": f"{_SCHEMAS}collection"},
                        },
                        "revision": {"type": "integer"},
                    },
                },
                "feature": _FEATURE,
                "featureCollection": {
                    "type": "object",
                    "required": ["type", "features"],
                    "properties": {
                        "type": {"type": "string", "enum": ["FeatureCollection"]},
                        "features": {"type": "array", "items": {"$ref": f"{_SCHEMAS}feature"}},
                        "links": _LINKS,
                        "timeStamp": {"type": "string", "format": "date-time"},
                        "numberMatched": _COUNT,
                        "numberReturned": _COUNT,
                        "revision": {"type": "integer", "nullable": True},
                        "at": {"type": "string", "format": "date-time"},
                    },
                },
                "problem": _PROBLEM,
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The key as the password; the user's name is not read.",
                },
            },
        },
    }


def _parameters(crs: Sequence[str], default_limit: int, max_limit: int) -> dict[str, Any]:
    one_of_crs = {"type": "string", "format": "uri", "enum": [*crs], "default": CRS84}
    text = {"type": "string"}
    return {
        "bbox": _query(
            "bbox",
            "Only areas that touch this box, its corners in the order of axes of bbox-crs.",
            {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}},
        ),
        "bbox-crs": _query("bbox-crs", "The system of bbox.", one_of_crs),
        "crs": _query("crs", "The system of the answer.", one_of_crs),
        "datetime": _query(
            "datetime",
            "Areas as they held at a time, or that held in a period: two times or `..` with "
            "a slash between. Now, where left out.",
            text,
        ),
        "limit": _query(
            "limit",
            "The most areas of a page; more are taken for the most there may be.",
            {"type": "integer", "minimum": 1, "maximum": max_limit, "default": default_limit},
        ),
        "code": _query("code", "Only the area of this code.", text),
        "name": _query("name", "Only areas of this name.", text),
        "cursor": _query("cursor", "From a link to the next page; not made by hand.", text),
        "featureId": {
            "name": "featureId",
            "in": "path",
            "required": True,
            "description": "Code of the area; a slash in it is written %2F.",
            "schema": text,
        },
    }


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
        "style": "form",
        "explode": False,
    }


def _get(
    operation: str, summary: str, schema: str, *, parameters: Sequence[str] = ()
) -> dict[str, Any]:
    media_type = "application/geo+json" if schema.startswith("feature") else "application/json"
    problem = {
        "description": "What went wrong",
        "content": {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}problem"}}},
    }
    answer = {
        "description": summary,
        "content": {media_type: {"schema": {"$ref": f"{_SCHEMAS}{schema}"}}},
    }
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "parameters": [{"$ref": f"{_PARAMETERS}{name}"} for name in parameters],
            "responses": {"200": answer, "default": problem},
        }
    }
