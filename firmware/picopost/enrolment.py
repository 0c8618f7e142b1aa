"""The first start of a board that has no account: it makes one. Loaded for that moment.

The password is on the console once, and nowhere else: the flash gets its hash.
"""

import asyncio
import os
from collections import OrderedDict

from micropython import const

from picopost import accounts, accounts_file, event_log

USER = "me"
# As host_tools/accounts.py has it: a guess at the password costs as much as there.
ITERATIONS = const(400)
_SALT = const(16)
# 32 characters that nobody takes for another (no l, no o, 0, 1): a character is 5 bits.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def _password():
    """Twelve characters in three groups, 60 bits."""
    letters = [_ALPHABET[octet & 31] for octet in os.urandom(12)]
    return "-".join(["".join(letters[i : i + 4]) for i in (0, 4, 8)])


def first_start():
    """Make the account and return the accounts, as accounts_file.read does. Raises OSError."""
    password = _password()
    salt = os.urandom(_SALT)
    key = asyncio.run(accounts.derive(password.encode(), salt, ITERATIONS))
    known = OrderedDict()
    known[USER] = (ITERATIONS, salt, key)
    # Shown before it counts: after a power cut in between the next start makes another one, while
    # an account whose password nobody has seen would be of no use.
    event_log.log("first_start", user=USER, password=password,
                  advice="note it, it is not shown again; python -m host_tools user passwd "
                         + USER + " sets another")
    accounts_file.write(known)
    return known
