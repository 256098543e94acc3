"""One body as XML and as JSON, one made of the other by the Spark convention of Open311.

In JSON the root's name and the names of a list's items fall away; nothing else differs.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree as ET

from fastapi import Response

from gridsvc.api.responses import JSON

# XML 1.0 has no way to write these, not even as references.
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ITEMS = {
    "services": "service",
    "attributes": "attribute",
    "service_requests": "request",
    "errors": "error",
}


class Format(StrEnum):
    """How a body is written; the end of a path names it."""

    JSON = "json"
    XML = "xml"


class _UnicodeJSON(JSON):
    media_type = "application/json; charset=utf-8"


def respond(
    content: Any,  # noqa: ANN401  dicts and lists of whatever JSON can hold
    *,
    root: str,
    as_: Format,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Write a body.

    Args:
        content: A dict, or a list whose items have the name that belongs to `root`.
        root: Name of the XML's outermost element.
        as_: The format.
        status_code: HTTP status.
        headers: Further headers.
    """
    if as_ is Format.JSON:
        return _UnicodeJSON(content, status_code, headers)
    return Response(
        ET.tostring(_element(root, content), encoding="utf-8", xml_declaration=True),
        status_code,
        headers,
        media_type="text/xml",  # text/… gets its charset from Starlette
    )


def _element(name: str, content: object) -> ET.Element:
    element = ET.Element(name)
    if isinstance(content, dict):
        element.extend(_element(key, value) for key, value in content.items())
    elif isinstance(content, list):
        element.extend(_element(_ITEMS[name], item) for item in content)
    elif content is not None:
        element.text = _NO_XML.sub("", _text(content))
    return element


def _text(content: object) -> str:
    if isinstance(content, bool):
        return str(content).lower()
    return content.isoformat() if isinstance(content, datetime) else str(content)
