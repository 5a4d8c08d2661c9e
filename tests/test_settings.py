"""Settings: what is taken, and what is refused in a sentence that names the setting."""

from pathlib import Path

import pytest

from taskyard import settings
from taskyard.domain.errors import Invalid


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` but the test's own."""
    monkeypatch.chdir(tmp_path)


def refusal(name: str, value: str) -> str:
    """The sentence that refuses a setting."""
    with pytest.raises(Invalid) as refused:
        settings.load({name: value})
    assert refused.value.field == name
    return refused.value.message


def test_no_proxy_is_believed_unless_it_is_named() -> None:
    assert settings.load({}).forwarded_allow_ips == ()
    named = settings.load({"TASKYARD_FORWARDED_ALLOW_IPS": "127.0.0.1, 10.0.0.0/24,::1"})
    assert named.forwarded_allow_ips == ("127.0.0.1", "10.0.0.0/24", "::1")
    assert settings.load({"TASKYARD_FORWARDED_ALLOW_IPS": "*"}).forwarded_allow_ips == ("*",)


@pytest.mark.parametrize("proxy", ["proxy.example", "10.0.0.1/8", "127.0.0.1,nowhere"])
def test_a_proxy_that_could_never_match_is_refused(proxy: str) -> None:
    assert "neither an IP address nor a network" in refusal("TASKYARD_FORWARDED_ALLOW_IPS", proxy)


def test_origins_are_taken_as_browsers_write_them() -> None:
    chosen = settings.load({"TASKYARD_CORS_ORIGINS": "https://UI.example, http://localhost:5173,http://[::1]:80"})
    assert chosen.cors_origins == ("https://ui.example", "http://localhost:5173", "http://[::1]:80")


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "https://ui.example,*", "https://*.example", "null", "ui.example", "https://ui.example/"),
        *("https://ui.example/path", "https://me@ui.example", "https://ui.example:port", "https://[::1", "https://"),
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    assert refusal("TASKYARD_CORS_ORIGINS", origin).startswith("TASKYARD_CORS_ORIGINS: ")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p%40@db:5432/yard", "postgresql+asyncpg://u:p%40@db:5432/yard"),
        ("postgresql://db/yard?sslmode=require", "postgresql+asyncpg://db/yard?ssl=require"),
        (
            "postgresql+asyncpg://sslmode=x:p@db/yard?ssl=disable",
            "postgresql+asyncpg://sslmode=x:p@db/yard?ssl=disable",
        ),
        ("postgresql:///yard?host=/run/postgresql", "postgresql+asyncpg:///yard?host=%2Frun%2Fpostgresql"),
        ("sqlite:///some/where.db", "sqlite+aiosqlite:///some/where.db"),
        ("sqlite:////some/where.db", "sqlite+aiosqlite:////some/where.db"),
    ],
)
def test_a_database_is_given_its_asynchronous_driver(given: str, used: str) -> None:
    assert settings.load({"DATABASE_URL": given}).database == used


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("yard", "not a database address"),
        ("postgresql://u:hush@db", "not a database address"),
        ("mysql://u:hush@db/yard", "mysql is not supported"),
        ("postgresql://u:hush@db:abc/yard", "the port must be a number"),
        ("postgresql://u:hush/hush@db/yard", "%2F"),
        ("postgresql://u:hush@[db/yard", "not an address"),
        ("postgresql://u:hush@db/yard?connect_timeout=5", "'connect_timeout' is not supported"),
        ("postgresql://u:hush@db/yard?application_name=ty", "'application_name' is not supported"),
        ("postgresql://u:hush@db/yard?sslmode=maybe", "sslmode must be one of"),
        ("postgresql://u:hush@db/yard?port=none", "the port must be a number"),
        ("sqlite:///:memory:", "SQLite in memory"),
        ("sqlite://", "SQLite in memory"),
        ("sqlite:///yard.db?cache=shared", "takes no parameters"),
        ("sqlite://yard.db", "three slashes"),
    ],
)
def test_a_database_that_cannot_be_opened_is_refused_without_its_password(url: str, words: str) -> None:
    said = refusal("DATABASE_URL", url)
    assert said.startswith("DATABASE_URL: ")
    assert words in said
    assert "hush" not in said


@pytest.mark.parametrize("url", ["redis://:p@cache:6379/0", "rediss://cache", "unix:///run/redis.sock?db=1"])
def test_addresses_of_redis(url: str) -> None:
    assert settings.load({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("foo", "not a Redis address"),
        ("http://:hush@cache", "not a Redis address"),
        ("redis://:hush@cache:abc/0", "the port must be a number"),
        ("redis://:hush@cache/first", "is a number"),
        ("redis://:hush@cache/0?foo=hush", "'foo' is not supported"),
    ],
)
def test_a_redis_that_cannot_be_opened_is_refused_without_its_password(url: str, words: str) -> None:
    said = refusal("REDIS_URL", url)
    assert said.startswith("REDIS_URL: ")
    assert words in said
    assert "hush" not in said


@pytest.mark.parametrize("name", ["TASKYARD_EXECUTIONS_KEPT_DAYS", "TASKYARD_EVENTS_KEPT_DAYS"])
@pytest.mark.parametrize("days", ["0", "36501", "1e7", "inf", "nan"])
def test_history_is_kept_for_a_time_that_a_calendar_holds(name: str, days: str) -> None:
    assert refusal(name, days).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TASKYARD_PROT", "; did you mean TASKYARD_PORT?"),
        ("TASKYARD_DATABSE_URL", "; did you mean TASKYARD_DATABASE_URL?"),
        ("TASKYARD_FOO", ""),
    ],
)
def test_an_unknown_setting_is_answered_with_a_name_only_when_one_is_near(name: str, meant: str) -> None:
    assert refusal(name, "1") == f"Unknown setting {name}{meant}"


def test_the_owners_address_is_checked_where_it_is_set() -> None:
    assert refusal("TASKYARD_OWNER_EMAIL", "bad") == "TASKYARD_OWNER_EMAIL: The e-mail address is not valid"
    assert settings.load({"TASKYARD_OWNER_EMAIL": " Ada@Yard.test"}).owner_email == "ada@yard.test"
