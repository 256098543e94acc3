"""API keys: shown once, kept as a hash, asked for on every call but the harmless ones."""

import hashlib

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from gridsvc.errors import KeyNameTaken, UnknownKey, UnknownScope
from gridsvc.grids.keys import Scope, authenticate, create_key, list_keys, revoke_key
from gridsvc.grids.models import ApiKey
from tests.api.shapes import assert_problem
from tests.small_city import YARD

Headers = dict[str, dict[str, str]]


def test_a_key_is_kept_as_its_hash_only(session: Session) -> None:
    token, key = create_key(session, name="hotline", scopes=["report", "locate"])
    assert len(token) >= len("gridsvc_") + 43  # 256 bits in base64
    assert key.scopes == (Scope.LOCATE, Scope.REPORT)
    record = session.scalars(select(ApiKey).where(ApiKey.name == "hotline")).one()
    assert record.key_hash == hashlib.sha256(token.encode()).digest()
    assert token not in repr(vars(record))
    assert authenticate(session, token) == key


def test_a_revoked_key_opens_nothing(session: Session) -> None:
    token, _ = create_key(session, name="old", scopes=["locate"])
    revoked = revoke_key(session, name="old")
    assert revoked.revoked_at is not None
    assert authenticate(session, token) is None
    assert [key.name for key in list_keys(session)] == ["old"]
    with pytest.raises(UnknownKey):
        revoke_key(session, name="old")
    with pytest.raises(KeyNameTaken):
        create_key(session, name="old", scopes=["locate"])


@pytest.mark.parametrize("token", ["", "gridsvc_", "gridsvc_" + "A" * 43, "é", "\x00"])
def test_a_guess_opens_nothing(session: Session, token: str) -> None:
    create_key(session, name="real", scopes=["admin"])
    assert authenticate(session, token) is None


@pytest.mark.parametrize("scopes", [["locate", "fly"], []])
def test_unknown_scopes_are_refused(session: Session, scopes: list[str]) -> None:
    with pytest.raises(UnknownScope):
        create_key(session, name="odd", scopes=scopes)
    assert list_keys(session) == []


def test_without_a_key_there_is_no_answer(guarded: TestClient) -> None:
    response = guarded.get("/v1/responsible", params=YARD)
    assert_problem(response, 401, "key-refused")
    assert response.headers["www-authenticate"] == 'Bearer realm="gridsvc"'


@pytest.mark.parametrize("value", ["Bearer nonsense", "Bearer gridsvc_" + "A" * 43])
def test_a_wrong_key_is_refused_even_where_none_is_asked_for(
    guarded: TestClient, client: TestClient, value: str
) -> None:
    for app in (guarded, client):
        response = app.get("/v1/layers", headers={"Authorization": value})
        assert_problem(response, 401, "key-refused")
        assert 'error="invalid_token"' in response.headers["www-authenticate"]


def test_a_key_comes_before_the_input(guarded: TestClient) -> None:
    assert_problem(guarded.get("/v1/responsible?lon=x"), 401, "key-refused")


@pytest.mark.parametrize(
    ("holder", "allowed"),
    [
        ("dispatch", {"/v1/responsible", "/v1/layers", "/v1/areas"}),
        (
            "managers",
            {"/v1/layers", "/v1/areas", "/v1/parties", "/v1/assignments", "/v1/hotspots"},
        ),
        ("readers", {"/v1/parties", "/v1/assignments"}),
        (
            "operator",
            {
                *("/v1/responsible", "/v1/layers", "/v1/areas", "/v1/parties", "/v1/assignments"),
                "/v1/hotspots",
            },
        ),
    ],
)
def test_a_key_opens_what_its_scopes_name(
    guarded: TestClient, key_of: Headers, holder: str, allowed: set[str]
) -> None:
    for call in (
        *("/v1/responsible", "/v1/layers", "/v1/areas", "/v1/parties", "/v1/assignments"),
        "/v1/hotspots",
    ):
        params = YARD if call == "/v1/responsible" else {}
        response = guarded.get(call, params=params, headers=key_of[holder])
        if call in allowed:
            assert response.status_code == 200
        else:
            assert_problem(response, 403, "scope-missing")
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]


@pytest.mark.parametrize("call", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_some_calls_need_no_key(guarded: TestClient, call: str) -> None:
    assert guarded.get(call).status_code == 200
