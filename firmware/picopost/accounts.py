"""Whether a password is right: the one place where it is hashed.

All accounts cost the same, and so does none; logins are hashed one after another, so that however
many there are, everybody else waits for one slice of one of them. The file: accounts_file.py.
"""

import asyncio
import hashlib

from micropython import const

# Iterations between two turns of the loop: 32 hashes, about 8 ms on an RP2040 (250 us each for
# 96 octets at 125 MHz).
_SLICE = const(16)

# Held by the login that hashes; the others wait in the order in which they came.
_turn = asyncio.Lock()


async def derive(password, salt, iterations, total=0):
    """PBKDF2-HMAC-SHA256 (RFC 8018 section 5.2), one block of 32 octets, in slices that let
    others run. The work is that of `total` iterations where that is more.
    """
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
    key = derived = int.from_bytes(inner[64:], "big")
    for i in range(1, max(iterations, total)):
        if i % _SLICE == 0:
            await asyncio.sleep_ms(0)
        outer[64:] = hashlib.sha256(inner).digest()
        inner[64:] = hashlib.sha256(outer).digest()
        key ^= int.from_bytes(inner[64:], "big")
        if i < iterations:
            derived = key
    return derived.to_bytes(32, "big")


async def verify(accounts, name, password):
    """Whether `password` (bytes) is that of `name`, of {name: (iterations, salt, key)}.

    The work is the same for every name, known or not: that of the most iterations of them all.
    """
    if not accounts:
        return False
    known = accounts.get(name)
    if known is None:
        known = next(iter(accounts.values()))
        name = None
    iterations, salt, key = known
    most = max([entry[0] for entry in accounts.values()])
    async with _turn:
        derived = await derive(password, salt, iterations, most)
    difference = 0
    for i in range(32):  # all of them, so that the time tells nothing
        difference |= derived[i] ^ key[i]
    return name is not None and difference == 0
