"""What every answer of the API must look like, asserted in one place."""

import re
from typing import Any
from xml.etree import ElementTree as ET

from httpx2 import Response

from gridsvc.api.problems import TYPE, Problem


def assert_problem(response: Response, status: int, name: str) -> dict[str, Any]:
    """Hold a response to RFC 9457 and our own promises; gives its body."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    Problem.model_validate(body, extra="forbid")
    assert (response.status_code, body["type"]) == (status, TYPE + name), body
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["instance"].startswith("/")
    assert "?" not in body["instance"]
    return body


def assert_open311_errors(response: Response, status: int) -> list[str]:
    """Hold a response to the errors of GeoReport v2, in XML or JSON; gives their descriptions."""
    if response.request.url.path.endswith(".json"):
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        errors = [(error["code"], error["description"]) for error in response.json()]
        assert all(set(error) == {"code", "description"} for error in response.json())
    else:
        assert response.headers["content-type"] == "text/xml; charset=utf-8"
        root = ET.fromstring(response.text)  # noqa: S314 -- our own
        assert (root.tag, {child.tag for child in root}) == ("errors", {"error"})
        assert all([field.tag for field in error] == ["code", "description"] for error in root)
        errors = [(int(error[0].text or ""), error[1].text or "") for error in root]
    assert response.status_code == status, errors
    assert errors
    assert {code for code, _ in errors} == {status}
    assert all(re.search(r"\w", words) for _, words in errors)
    return [words for _, words in errors]
