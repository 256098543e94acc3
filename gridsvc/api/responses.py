"""Bodies are written by orjson as they come; models describe them and a test holds them to it.

Validating ten thousand answers on their way out would cost more than finding them.
"""

from datetime import datetime
from urllib.parse import urlencode

import orjson
from fastapi import Request
from fastapi.responses import JSONResponse

from gridsvc.api.fields import Strict


class JSON(JSONResponse):
    """A JSON body."""

    def render(self, content: object) -> bytes:
        """Write dataclasses, instants, fragments and NumPy's numbers too."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


class GeoJSON(JSON):
    """A GeoJSON body, RFC 7946."""

    media_type = "application/geo+json"


def next_links(
    request: Request, parameters: Strict, *, after: str | None, at: datetime | None = None
) -> list[dict[str, str]]:
    """Link to the next page, as the list `links` of a body; empty on the last page.

    Args:
        request: The call; the link is relative to it, for only a proxy knows the public name.
        parameters: Its parameters.
        after: Where the next page begins.
        at: The time of this page, which holds the next one to the same state.
    """
    if after is None:
        return []
    query = parameters.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    query |= {"after": after} | ({"at": at.isoformat()} if at else {})
    return [{"rel": "next", "href": f"{request.url.path}?{urlencode(query)}"}]
