"""Accounts as firmware/picopost/accounts_file.py reads them: names, passwords, lines.

A file has a line an account, `name:iterations:salt:key`; on a card `name:-` takes one away.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets

# About 250 ms on an RP2040 at 125 MHz: two SHA-256 of 96 octets, 250 us each, an iteration.
ITERATIONS = 400
# As in firmware/picopost/limits.py: MAX_MAILBOXES and MAX_ACCOUNTS_FILE.
MAX_ACCOUNTS = 16
MAX_FILE = 8192
# Of a password that is made up: 32 characters that nobody takes for another, 5 bits each.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
REMOVED = "-"
# POP3's lines have 255 octets (RFC 2449 4), and PASS and CRLF are 7 of them.
_MAX_PASSWORD = 248
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9_-])?")


class AccountError(Exception):
    """A name, password or file that the appliance would not take; the text says why."""


def is_name(name: str) -> bool:
    """1 to 32 of a-z 0-9 . _ -, beginning with a letter or digit, not ending in a dot."""
    return bool(_NAME.fullmatch(name))


def check_name(name: str) -> None:
    """Raises AccountError for what is no account's name."""
    if not is_name(name):
        raise AccountError(f"{name!r} is no account name: 1 to 32 of a-z 0-9 . _ -, "
                           "beginning with a letter or digit, not ending in a dot")


def make_password() -> str:
    """Twelve characters in three groups, 60 bits, as the firmware's first start makes it."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3))


def line(name: str, password: str) -> str:
    """The account's line `name:iterations:salt:key`. Raises AccountError."""
    check_name(name)
    if not password or any(character in password for character in "\r\n\0"):
        raise AccountError(f"the password of {name} is empty or has a line end in it")
    try:
        octets = password.encode()
    except UnicodeEncodeError as error:  # what was no UTF-8 where it came from
        raise AccountError(f"the password of {name} is not UTF-8") from error
    if len(octets) > _MAX_PASSWORD:
        raise AccountError(f"the password of {name} has more than {_MAX_PASSWORD} octets, which "
                           "POP3 cannot carry")
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha256", octets, salt, ITERATIONS)
    return f"{name}:{ITERATIONS}:{salt.hex()}:{key.hex()}"


def removal(name: str) -> str:
    """The line with which a card takes an account away. Raises AccountError."""
    check_name(name)
    return f"{name}:{REMOVED}"


def parse(text: str) -> dict[str, str]:
    """{name: its line} of a file. Raises AccountError for a line that is none.

    What stands in the lines is for the firmware to check.
    """
    lines: dict[str, str] = {}
    for number, found in enumerate(text.splitlines(), 1):
        found = found.strip()
        if found and not found.startswith("#"):
            name = found.partition(":")[0]
            if not is_name(name) or name in lines:
                raise AccountError(f"line {number} is no account, or a second line for one")
            lines[name] = found
    return lines


def text(lines: dict[str, str]) -> str:
    """The file again."""
    return "".join(f"{found}\n" for found in lines.values())
