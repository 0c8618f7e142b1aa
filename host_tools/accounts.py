"""Write the accounts file that the firmware reads (firmware/picopost/accounts.py)."""

from __future__ import annotations

import hashlib
import os
import re

# About 250 ms on an RP2040 at 125 MHz: two SHA-256 of 96 octets, 250 us each, an iteration.
ITERATIONS = 400
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9_-])?")


class AccountError(Exception):
    """A name or password that the appliance would not take; the text says why."""


def line(name: str, password: str) -> str:
    """The account's line `name:iterations:salt:key`. Raises AccountError."""
    if not _NAME.fullmatch(name):
        raise AccountError(f"{name!r} is no account name: 1 to 32 of a-z 0-9 . _ -, "
                           "beginning with a letter or digit, not ending in a dot")
    if not password or any(character in password for character in "\r\n\0"):
        raise AccountError(f"the password of {name} is empty or has a line end in it")
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    return f"{name}:{ITERATIONS}:{salt.hex()}:{key.hex()}"
