"""The accounts in a file: on the board's flash, or on a card that brings changes.

A line an account: `name:iterations:salt:key`, the last two in hex; the key is
PBKDF2-HMAC-SHA256 (RFC 8018 section 5.2), 32 octets. On a card `name:-` takes an account away.
Empty lines and lines that begin with # say nothing. host_tools/accounts.py writes the same.
"""

import binascii
import os
from collections import OrderedDict

from micropython import const

from picopost import Misconfigured, limits

PATH = "accounts.txt"
_NEW = "accounts.new"
_ENOENT = const(2)


class AccountsError(Misconfigured):
    """The accounts cannot be used; the text names file, line and reason."""


def read(path=PATH, removals=False):
    """{name: (iterations, salt, key)} in the file's order, empty without a file; with `removals`
    None instead of a tuple for `name:-`.

    Raises AccountsError, and OSError where the file cannot be read.
    """
    accounts = OrderedDict()
    try:
        if os.stat(path)[6] > limits.MAX_ACCOUNTS_FILE:
            raise AccountsError("%s: more than %d octets" % (path, limits.MAX_ACCOUNTS_FILE))
    except OSError as error:
        if error.errno != _ENOENT:
            raise
        return accounts
    number = 0
    with open(path, "rb") as file:
        for line in file:
            number += 1
            line = line.strip()
            if not line or line[0] == 0x23:  # "#"
                continue
            try:
                name, entry = _account(line, removals)
                if name in accounts:
                    raise AccountsError("a second line for " + name)
            except AccountsError as error:
                raise AccountsError("%s, line %d: %s" % (path, number, error))
            accounts[name] = entry
    if not removals:
        check_count(accounts)
    return accounts


def write(accounts, path=PATH):
    """Replace the file: a power cut at any point leaves the old one or the new one, whole.

    Raises OSError, and then the old one stays.
    """
    with open(_NEW, "w") as file:
        for name in accounts:
            iterations, salt, key = accounts[name]
            file.write("%s:%d:%s:%s\n" % (name, iterations, binascii.hexlify(salt).decode(),
                                          binascii.hexlify(key).decode()))
        file.flush()  # LittleFS puts it on the flash with this
    os.rename(_NEW, path)  # one commit of LittleFS


def check_count(accounts):
    """Raises AccountsError where there are more than there are mailboxes."""
    if len(accounts) > limits.MAX_MAILBOXES:
        raise AccountsError("more than %d accounts" % limits.MAX_MAILBOXES)


def is_name(name):
    """1 to 32 of a-z 0-9 . _ -, beginning with a letter or digit: safe as a directory's name."""
    if not 1 <= len(name) <= 32 or name[0] in "._-" or name[-1] == ".":
        return False
    for character in name:
        if not ("a" <= character <= "z" or "0" <= character <= "9" or character in "._-"):
            return False
    return True


def _account(line, removals):
    try:
        name, *fields = line.decode().split(":")
        if not is_name(name):
            raise AccountsError("bad name")
        if removals and fields == ["-"]:
            return name, None
        iterations, salt, key = fields
        entry = (int(iterations), binascii.unhexlify(salt), binascii.unhexlify(key))
    except AccountsError:
        raise
    except ValueError:  # a UnicodeError too
        raise AccountsError("want name:iterations:salt:key")
    # RFC 8018 4.1: a salt of at least 8 octets. With up to 32 each login hashes as many blocks.
    if (not 1 <= entry[0] <= limits.MAX_ITERATIONS or not 8 <= len(entry[1]) <= 32
            or len(entry[2]) != 32):
        raise AccountsError("bad iterations (1 to %d), salt or key" % limits.MAX_ITERATIONS)
    return name, entry
