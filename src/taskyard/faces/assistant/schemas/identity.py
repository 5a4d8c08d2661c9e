"""Registering, signing in, users and keys (D4-E01 to E03)."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from taskyard.domain.credentials import MAX_NAME_LENGTH, MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from taskyard.faces.kit.wire import Email, Moment, Text

Name = Annotated[Text, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


class Registration(BaseModel):
    """D4-E01."""

    email: Email
    password: str = Field(min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH)
    full_name: Name
    tenant_name: Name


class Registered(BaseModel):
    """D4-E01."""

    id: UUID
    email: str
    full_name: str
    role: str
    tenant_id: UUID
    created_at: Moment


class Login(BaseModel):
    """D4-E02. An address that can be nobody's is answered like any other that is not known."""

    email: str = Field(min_length=1, max_length=1024)
    password: str = Field(min_length=1, max_length=MAX_PASSWORD_LENGTH)


class Token(BaseModel):
    """D4-E02, E03; `expires_in` is in seconds."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105
    expires_in: int


class Me(BaseModel):
    """The caller, in the tenant its credential means."""

    id: UUID
    email: str
    full_name: str
    tenant_id: UUID
    role: str
    permissions: list[str]
    created_at: Moment


class KeyWanted(BaseModel):
    """A name to tell keys apart by."""

    name: Name


class Key(BaseModel):
    """An API key as its owner sees it: all but the key."""

    id: UUID
    name: str
    prefix: str
    user_id: UUID
    created_at: Moment
    last_used_at: Moment | None
    revoked_at: Moment | None


class MadeKey(Key):
    """A key just made. `key` is shown this once."""

    key: str


class KeyPage(BaseModel):
    """A page of keys."""

    items: list[Key]
    total: int
    limit: int
    offset: int
