"""What every answer of the API must look like, asserted in one place."""

from typing import Any

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
