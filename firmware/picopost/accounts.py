"""Who may read mail: names and salted password hashes, in one file on the board's flash.

A line an account: `name:iterations:salt:key`, the last two in hex; the key is
PBKDF2-HMAC-SHA256 (RFC 8018 section 5.2), 32 octets. The host tools write the file.
"""

import asyncio
import binascii
import hashlib
from collections import OrderedDict

from micropython import const

PATH = "accounts.txt"

# Iterations between two turns of the loop: about 10 ms on an RP2040.
_SLICE = const(16)


class AccountsError(ValueError):
    """The file cannot be used; the text names line and reason."""


def read(path=PATH):
    """{name: (iterations, salt, key)} in the file's order; raises AccountsError or OSError."""
    accounts = OrderedDict()
    with open(path) as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line[0] == "#":
                continue
            try:
                name, iterations, salt, key = line.split(":")
                entry = (int(iterations), binascii.unhexlify(salt), binascii.unhexlify(key))
            except ValueError:
                raise AccountsError(f"{path}, line {number}: want name:iterations:salt:key")
            if not is_name(name) or len(entry[2]) != 32 or entry[0] < 1:
                raise AccountsError(f"{path}, line {number}: bad name, iterations or key")
            accounts[name] = entry
    return accounts


def is_name(name):
    """1 to 32 of a-z 0-9 . _ -, beginning with a letter or digit: safe as a directory's name."""
    if not 1 <= len(name) <= 32 or name[0] in "._-" or name[-1] == ".":
        return False
    for character in name:
        if not ("a" <= character <= "z" or "0" <= character <= "9" or character in "._-"):
            return False
    return True


async def derive(password, salt, iterations):
    """PBKDF2-HMAC-SHA256 with one block of 32 octets, in slices that let others run."""
    if len(password) > 64:
        password = hashlib.sha256(password).digest()
    inner = bytearray(96)  # the padded key and, behind it, the digest to hash
    outer = bytearray(96)
    for i in range(64):
        octet = password[i] if i < len(password) else 0
        inner[i] = octet ^ 0x36
        outer[i] = octet ^ 0x5C
    first = hashlib.sha256(inner[:64])
    first.update(salt + b"\0\0\0\x01")
    outer[64:] = first.digest()
    inner[64:] = hashlib.sha256(outer).digest()
    key = int.from_bytes(inner[64:], "big")
    for i in range(1, iterations):
        if i % _SLICE == 0:
            await asyncio.sleep_ms(0)
        outer[64:] = hashlib.sha256(inner).digest()
        inner[64:] = hashlib.sha256(outer).digest()
        key ^= int.from_bytes(inner[64:], "big")
    return key.to_bytes(32, "big")


async def verify(accounts, name, password):
    """Whether `password` (bytes) is that of `name`; an unknown name takes the same time."""
    known = accounts.get(name)
    if known is None:
        if not accounts:
            return False
        known = next(iter(accounts.values()))
        name = None
    iterations, salt, key = known
    derived = await derive(password, salt, iterations)
    difference = 0
    for i in range(32):  # all of them, so that the time tells nothing
        difference |= derived[i] ^ key[i]
    return name is not None and difference == 0
