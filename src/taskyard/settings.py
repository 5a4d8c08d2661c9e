"""Settings: read once from the environment, a `.env` file in the working directory, and `*_FILE` secrets.

A name that begins with `TASKYARD_` and is not known is an error, since a misspelt limit is worse than none.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from taskyard import addresses
from taskyard.domain.credentials import checked_email
from taskyard.domain.errors import Invalid
from taskyard.domain.rules import Rules

PREFIX = "TASKYARD_"
DATABASE_FILE = "taskyard.db"
MIN_SECRET_LENGTH = 16
MAX_DAYS = 36_500

PLAIN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "API_KEY", "SUPABASE_JWT_SECRET")
"""Settings also known by the plain name other programs use; with the prefix they win."""


class Settings(BaseModel):
    """Every setting of the yard. Durations are in seconds unless the name says otherwise."""

    model_config = ConfigDict(frozen=True)

    data_dir: Path = Path("data")
    database_url: str | None = None
    redis_url: str | None = None
    secret_key: str | None = Field(None, min_length=MIN_SECRET_LENGTH)
    api_key: str | None = Field(None, min_length=8)
    supabase_jwt_secret: str | None = Field(None, min_length=MIN_SECRET_LENGTH)
    owner_email: str = "owner@taskyard.localhost"
    owner_password: str | None = Field(None, min_length=8, max_length=1024)
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    cors_origins: tuple[str, ...] = ()
    forwarded_allow_ips: tuple[str, ...] = ()
    registration: Literal["on", "off"] = "on"
    create_unknown_accounts: bool = True
    rate_limits: Literal["on", "off"] = "on"
    sandbox: Literal["off", "bwrap"] = "off"
    retry_attempts: int = Field(3, ge=1, le=100)
    retry_base_seconds: float = Field(60.0, ge=0, le=86400)
    http_timeout_seconds: float = Field(30.0, gt=0, le=3600)
    command_timeout_seconds: float = Field(300.0, gt=0, le=3600)
    lease_seconds: float = Field(15.0, ge=1, le=3600)
    output_limit_bytes: int = Field(10 * 1024 * 1024, ge=1024)
    worker_concurrency: int = Field(1000, ge=1, le=10_000)
    command_concurrency: int = Field(8, ge=1, le=1000)
    shutdown_grace_seconds: float = Field(10.0, ge=0, le=3600)
    executions_kept_days: float = Field(90.0, gt=0, le=MAX_DAYS)
    events_kept_days: float = Field(90.0, gt=0, le=MAX_DAYS)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"

    @field_validator("cors_origins", "forwarded_allow_ips", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """`a,b` as well as a sequence."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(addresses.origin, value))

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(addresses.proxy, value))

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        return None if value is None else addresses.database(value)

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str | None) -> str | None:
        return None if value is None else addresses.redis(value)

    @field_validator("owner_email")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return checked_email(value)
        except Invalid as error:
            raise ValueError(error.message) from None

    @property
    def database(self) -> str:
        """The database's address; without one, SQLite in the data directory."""
        return self.database_url or f"sqlite+aiosqlite:///{(self.data_dir / DATABASE_FILE).absolute()}"

    def has_yard(self) -> bool:
        """Whether there is a database to work with; that of an address is taken to be there."""
        return self.database_url is not None or (self.data_dir / DATABASE_FILE).exists()

    @property
    def rules(self) -> Rules:
        """What the domain needs to know of all this."""
        return Rules(
            retry_attempts=self.retry_attempts,
            retry_base_seconds=self.retry_base_seconds,
            http_timeout_seconds=self.http_timeout_seconds,
            command_timeout_seconds=self.command_timeout_seconds,
            lease_seconds=self.lease_seconds,
            output_limit_bytes=self.output_limit_bytes,
            executions_kept_days=self.executions_kept_days,
            events_kept_days=self.events_kept_days,
            create_unknown_accounts=self.create_unknown_accounts,
            open_registration=self.registration == "on",
        )


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings of this process. `overrides` (command-line options) win; None among them means unset.

    Raises `Invalid` naming the setting that is wrong, and the right name for a misspelt one.
    """
    values = _gathered(dict(os.environ if environ is None else environ))
    names = _names()
    _refuse_unknown(values, names)
    chosen: dict[str, Any] = {names[name]: values[name] for name in names if name in values}
    chosen |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings.model_validate(chosen)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = _name_of(str(problem["loc"][0]))
        raise Invalid(f"{name}: {problem['msg'].removeprefix('Value error, ')}", field=name) from None


def _gathered(environ: dict[str, str]) -> dict[str, str]:
    """`.env` below the environment, and `NAME_FILE` read into `NAME`."""
    from_file = {name: value for name, value in dotenv_values(Path(".env")).items() if value is not None}
    values = {name: value for name, value in (from_file | environ).items() if value != ""}
    known = _names()
    for name, value in list(values.items()):
        target = name.removesuffix("_FILE")
        if target != name and target in known:
            del values[name]
            try:
                values.setdefault(target, Path(value).read_text(encoding="utf-8").strip())
            except OSError as error:
                raise Invalid(f"{name}: cannot read {value}: {error.strerror}", field=name) from None
    return values


def _names() -> dict[str, str]:
    """Environment names to fields; the prefixed ones come last, so that they win."""
    plain = {name: name.lower() for name in PLAIN}
    return plain | {PREFIX + field.upper(): field for field in Settings.model_fields}


def _name_of(field: str) -> str:
    return field.upper() if field.upper() in PLAIN else PREFIX + field.upper()


def _refuse_unknown(values: Mapping[str, str], names: Mapping[str, str]) -> None:
    fields = {name.upper(): PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(values):
        if name.startswith(PREFIX) and name not in names:
            # The prefix, which they share, would make all of them near.
            near = difflib.get_close_matches(name.removeprefix(PREFIX), fields, n=1, cutoff=0.6)
            hint = f"; did you mean {fields[near[0]]}?" if near else ""
            raise Invalid(f"Unknown setting {name}{hint}", field=name)
