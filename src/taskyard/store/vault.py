"""Sealing of what must be readable again but not from a stolen database: calls, commands, subscribers' secrets."""

import base64
import json
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from taskyard.domain.errors import Unavailable


class Vault:
    """Authenticated encryption (Fernet: AES-128-CBC with HMAC-SHA256) under a key derived from `SECRET_KEY`."""

    def __init__(self, secret_key: str) -> None:
        key = sha256(b"taskyard.vault.1\0" + secret_key.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, value: Any) -> str:
        """`value` (JSON) as an opaque text."""
        return self._fernet.encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()

    def open(self, sealed: str) -> Any:
        """What was sealed. Raises `Unavailable` when `SECRET_KEY` is not the one it was sealed with."""
        try:
            return json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            message = "Stored secrets cannot be read: SECRET_KEY or the file secret_key is not the key of old"
            raise Unavailable(message, code="SECRET_KEY_MISMATCH") from None
