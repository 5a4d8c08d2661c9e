"""What proves who asks: rules for e-mail addresses, passwords and names, and API keys as their owners see them."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from taskyard.domain.errors import Invalid

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 1024
MAX_EMAIL_LENGTH = 254
MAX_NAME_LENGTH = 255

_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]+")
_NOWHERE = ".invalid"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that opens one tenant as its user. Of the key itself only `prefix` is known, for telling keys apart."""

    id: UUID
    tenant_id: UUID
    user_id: UUID
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


def normalized_email(email: str) -> str:
    """`email` as it is stored and compared: trimmed, lower case, composed (NFC)."""
    return unicodedata.normalize("NFC", email.strip().lower())


def checked_email(email: str) -> str:
    """`email` normalized. Raises `Invalid`.

    Faces check the full grammar; this keeps out what would break the store or impersonate. `.invalid` (RFC 2606 §2)
    belongs to users who have no address we could store, so nobody may take one of those.
    """
    address = normalized_email(email)
    if len(address) > MAX_EMAIL_LENGTH or not address.isprintable() or not _ADDRESS.fullmatch(address):
        raise Invalid("The e-mail address is not valid", field="email")
    if address.endswith(_NOWHERE):
        raise Invalid("An e-mail address under .invalid cannot be used", field="email")
    return address


def placeholder_email(subject: UUID, issuer: str) -> str:
    """The address of an outside user without one of their own; no `checked_email` can equal it."""
    return f"{subject}@{issuer}{_NOWHERE}"


def checked_password(password: str) -> str:
    """`password` unchanged when it may become one. Raises `Invalid` (RULINGS §5 D4: at least 8 characters)."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Invalid(f"The password needs at least {MIN_PASSWORD_LENGTH} characters", field="password")
    if not usable_password(password):
        raise Invalid(f"The password may have at most {MAX_PASSWORD_LENGTH} characters of text", field="password")
    return password


def usable_password(password: str) -> bool:
    """Whether `password` can be hashed at all: bounded, and text (JSON lets half a character through)."""
    return len(password) <= MAX_PASSWORD_LENGTH and not _broken(password)


def checked_name(name: str, field: str) -> str:
    """`name` trimmed: 1 to 255 characters, none of them control characters. Raises `Invalid` naming `field`."""
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= MAX_NAME_LENGTH:
        raise Invalid(f"{field} must have 1 to {MAX_NAME_LENGTH} characters", field=field)
    if _broken(trimmed) or any(unicodedata.category(character) == "Cc" for character in trimmed):
        raise Invalid(f"{field} may not contain control characters", field=field)
    return trimmed


def _broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
