"""Credentials at the faces, and D4's own auth routes."""

import httpx2
import pytest

from taskyard.faces.kit.auth import SESSION_COOKIES
from taskyard.services import keys
from tests.faces.conftest import Person, World

pytestmark = pytest.mark.anyio

WHO = "/api/v1/users/me"
JOHN = {
    "email": "user@example.com",
    "password": "SecureP@ssw0rd123",
    "full_name": "John Doe",
    "tenant_name": "Acme Corp",
}


async def key_of(world: World, person: Person) -> str:
    async with world.yard.database.write() as tx:
        return (await keys.create(tx, person.actor, "test")).secret


async def test_register_login_refresh_as_documented(each_world: World) -> None:
    http = each_world.client()
    made = await http.post("/api/v1/auth/register", json=JOHN)
    assert made.status_code == 201
    body = made.json()
    assert body.keys() == {"id", "email", "full_name", "role", "tenant_id", "created_at"}
    assert (body["email"], body["full_name"], body["role"]) == (JOHN["email"], JOHN["full_name"], "admin")
    login = await http.post("/api/v1/auth/login", json={"email": JOHN["email"], "password": JOHN["password"]})
    assert login.status_code == 200
    token = login.json()
    assert (token["token_type"], token["expires_in"]) == ("bearer", 86400)
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    refreshed = await http.post("/api/v1/auth/refresh", headers=bearer)
    assert refreshed.status_code == 200
    assert refreshed.json().keys() == token.keys()
    fresh = {"Authorization": f"Bearer {refreshed.json()['access_token']}"}
    for headers in (bearer, fresh):
        me = (await http.get(WHO, headers=headers)).json()
        assert me["id"] == body["id"]
        assert me["tenant_id"] == body["tenant_id"]
        assert me["role"] == "admin"
        assert me["permissions"] == ["admin", "read", "write"]
        assert me["created_at"] == body["created_at"]


@pytest.mark.parametrize(
    ("change", "loc", "msg", "kind"),
    [
        ({"email": "nonsense"}, ["body", "email"], "value is not a valid email address", "value_error.email"),
        ({"password": "1234567"}, ["body", "password"], None, "string_too_short"),
        ({"full_name": ""}, ["body", "full_name"], None, "string_too_short"),
        ({"tenant_name": None}, ["body", "tenant_name"], None, "string_type"),
        ({"full_name": "a\0b"}, ["body", "full_name"], "null bytes are not allowed", "null_byte"),
        ({"full_name": " "}, ["body", "full_name"], None, "value_error"),
    ],
)
async def test_what_is_not_valid_has_the_list_form(
    world: World, change: dict[str, str | None], loc: list[str], msg: str | None, kind: str
) -> None:
    answer = await world.client().post("/api/v1/auth/register", json=JOHN | change)
    assert answer.status_code == 422
    (issue,) = answer.json()["detail"]
    assert (issue["loc"], issue["type"]) == (loc, kind)
    assert msg is None or issue["msg"] == msg


async def test_a_refusal_does_not_repeat_the_password(world: World) -> None:
    answer = await world.client().post("/api/v1/auth/register", json=JOHN | {"password": "hushhus"})
    assert answer.status_code == 422
    assert "hushhus" not in answer.text


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"email": "\\ud800"}', b"[]", b"3", b"", b"[" * 50_000])
async def test_bodies_that_make_no_sense(world: World, content: bytes) -> None:
    answer = await world.client().post(
        "/api/v1/auth/login", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.json()["error_code"]


async def test_an_address_is_taken_once(world: World) -> None:
    http = world.client()
    assert (await http.post("/api/v1/auth/register", json=JOHN)).status_code == 201
    again = await http.post("/api/v1/auth/register", json=JOHN | {"email": "USER@example.com"})
    assert again.status_code == 409
    assert again.json()["error_code"] == "EMAIL_TAKEN"


async def test_a_wrong_password_and_an_unknown_user_are_told_alike(world: World) -> None:
    http = world.client()
    await http.post("/api/v1/auth/register", json=JOHN)
    answers = [
        await http.post("/api/v1/auth/login", json={"email": email, "password": "wrong password"})
        for email in (JOHN["email"], "nobody@example.com", "no address")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"


async def test_signing_out_ends_a_token(world: World) -> None:
    alice = await world.user()
    assert (await alice.http.post("/api/v1/auth/logout")).status_code == 204
    for path in (WHO, f"/api/jobs?account_id={alice.account}"):
        assert (await alice.http.get(path)).status_code == 401
    assert (await alice.http.post("/api/v1/auth/refresh")).status_code == 401


async def test_only_a_token_can_be_refreshed(world: World) -> None:
    alice = await world.user()
    key = await key_of(world, alice)
    for headers in ({}, {"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        assert (await world.client(headers).post("/api/v1/auth/refresh")).status_code == 401


async def test_keys_are_made_shown_once_and_revoked(world: World) -> None:
    alice, bob = await world.user(), await world.user()
    made = await alice.http.post("/api/v1/keys", json={"name": "ci"})
    assert made.status_code == 201
    key = made.json()["key"]
    listed = await alice.http.get("/api/v1/keys")
    assert (listed.json()["total"], listed.json()["limit"], listed.json()["offset"]) == (1, 50, 0)
    assert key not in listed.text
    for headers, query in (
        ({"X-API-Key": key}, ""),
        ({"Authorization": f"bearer {key}"}, ""),
        ({}, f"?api_key={key}"),
    ):
        me = await world.client(headers).get(WHO + query)
        assert me.json()["id"] == str(alice.principal.user.id)
    ident = made.json()["id"]
    assert (await bob.http.delete(f"/api/v1/keys/{ident}")).status_code == 404
    assert (await alice.http.delete(f"/api/v1/keys/{ident}")).status_code == 204
    assert (await world.client({"X-API-Key": key}).get(WHO)).status_code == 401


async def test_a_bad_credential_is_not_made_up_for_by_the_next(world: World) -> None:
    alice, bob = await world.user(), await world.user()
    key = await key_of(world, bob)
    both = world.client({"Authorization": "Bearer nonsense", "X-API-Key": key})
    assert (await both.get(WHO)).status_code == 401
    first = world.client({"Authorization": f"Bearer {alice.token}", "X-API-Key": key})
    assert (await first.get(WHO)).json()["id"] == str(alice.principal.user.id)


@pytest.mark.parametrize("cookie", SESSION_COOKIES)
async def test_a_session_opens_every_face(world: World, cookie: str) -> None:
    http = world.client()
    account = (await http.post("/api/v1/auth/register", json=JOHN)).json()["tenant_id"]
    session = (await world.yard.identity.open_session(JOHN["email"], JOHN["password"])).token
    browser = world.client({"Cookie": f"{cookie}={session}"})
    assert (await browser.get(WHO)).status_code == 200
    assert (await browser.get(f"/api/jobs?account_id={account}")).status_code == 200
    assert (await browser.post("/api/v1/auth/logout")).status_code == 204
    assert (await browser.get(WHO)).status_code == 401


async def test_another_site_cannot_act_with_a_browsers_cookie(world: World) -> None:
    http = world.client()
    await http.post("/api/v1/auth/register", json=JOHN)
    session = (await world.yard.identity.open_session(JOHN["email"], JOHN["password"])).token

    async def make_key(origin: str | None) -> httpx2.Response:
        headers = {"Cookie": f"taskyard_session={session}"} | ({"Origin": origin} if origin else {})
        return await http.post("/api/v1/keys", json={"name": "k"}, headers=headers)

    for origin in ("https://evil.example", "null", "http://testserver.evil.example", "http://testserver:81"):
        assert (await make_key(origin)).status_code == 403
    for origin in (None, "http://testserver", "https://ui.example"):
        assert (await make_key(origin)).status_code == 201


@pytest.mark.parametrize("path", ["/api/jobs", "/webhooks", "/api/v1/keys"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dTpw"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer ty_nonsense"},
        {"X-API-Key": "nonsense"},
        {"Cookie": "taskyard_session=nonsense"},
        {"Authorization": "Bearer \xe9"},
    ],
)
async def test_a_stranger_is_told_so_before_anything_else(world: World, path: str, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await world.client().post(path, content=b"{", headers=[*raw, (b"Content-Type", b"application/json")])
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error_code"] == "UNAUTHORIZED"
