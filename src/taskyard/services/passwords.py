"""Passwords: argon2id (RFC 9106) in a few threads of its own.

Each computation takes 64 MiB and tens of milliseconds of processor time, so the number of threads bounds what a flood
of sign-ins can take; the rest waits in line. Never call this within a transaction: it would hold it open that long.
"""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from taskyard.domain.credentials import checked_password, usable_password

MAX_AT_ONCE = max(1, min(4, os.cpu_count() or 1))

DUMMY_HASH = "$argon2id$v=19$m=65536,t=3,p=4$s8yruIA8qoyrgjcht1AugQ$yrP0vXcCneZpyHpz/rTPx5y8mFbKv836UetEj1XbVsI"
"""The hash of a random value nobody kept, made with the parameters in use: stands in for an unknown user's."""

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS = 4
_GROUP_LENGTH = 5

_hasher = PasswordHash((Argon2Hasher(),))
_threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="argon2")


async def hash_password(password: str) -> str:
    """The hash to store for a new password. Raises `Invalid` when it may not become one."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, checked_password(password))


async def verify(password: str, password_hash: str | None) -> bool:
    """Whether `password` is the one. Without a hash (an unknown user, or one without a password) the answer is no
    after the same work, so that the time taken does not tell who is known.
    """
    if not usable_password(password):
        return False
    against = DUMMY_HASH if password_hash is None else password_hash
    matches = await asyncio.get_running_loop().run_in_executor(_threads, _matches, password, against)
    return matches and password_hash is not None


def _matches(password: str, password_hash: str) -> bool:
    return _hasher.verify(password, password_hash)


def generated_password() -> str:
    """A password to be read from a screen and typed: 99 random bits, without letters that look alike."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)
