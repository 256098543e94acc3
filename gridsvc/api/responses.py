"""Bodies are written by orjson as they come; models describe them and a test holds them to it.

Validating ten thousand answers on their way out would cost more than finding them.
"""

from urllib.parse import urlencode

import orjson
from fastapi import Request, Response

from gridsvc.api.fields import Strict


class JSON(Response):
    """A JSON body."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Write dataclasses, instants, fragments and NumPy's numbers too."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


class GeoJSON(JSON):
    """A GeoJSON body, RFC 7946."""

    media_type = "application/geo+json"


def next_links(
    request: Request, parameters: Strict, *, after: str | None, **pinned: object
) -> list[dict[str, str]]:
    """Link to the next page, as the list `links` of a body; empty on the last page.

    Args:
        request: The call; the link is relative to it, for only a proxy knows the public name.
        parameters: Its parameters.
        after: Where the next page begins.
        pinned: Parameters that hold the next page to the state of this one.
    """
    if after is None:
        return []
    query = urlencode(
        parameters.model_copy(update={"after": after, **pinned}).model_dump(
            mode="json", exclude_none=True, exclude_unset=True
        )
    )
    return [{"rel": "next", "href": f"{request.url.path}?{query}"}]
