"""Changes of accounts that a card brings in the file ACCOUNTS.TXT of its root. Loaded for them.

The order makes a power cut harmless: first the flash, then the card's file goes. Who is cut in
between applies the same changes once more, which changes nothing.
"""

import os

from micropython import const

from picopost import accounts_file, event_log, limits
from picopost.accounts_file import AccountsError

NAME = "ACCOUNTS.TXT"
_REFUSED = "ACCOUNTS.BAD"
_PIECE = const(512)


def apply(office, root):
    """Let the PostOffice have the accounts that the card at `root` asks for, all of them or none.

    `office` has no mailbox open, and its volume is mounted. Raises OSError when the card fails.
    """
    try:
        _apply(office, root + "/" + NAME, root + "/" + _REFUSED)
    except OSError as error:
        if office.volume.failure:
            raise
        # A full card, a file that is read-only, the flash: mail shall not wait for that.
        event_log.log("accounts_refused", why="%s stays on the card: %s" % (NAME, error))


def _apply(office, path, refused):
    try:
        changes = accounts_file.read(path, True)
        accounts = _changed(office, changes)
    except AccountsError as error:
        event_log.log("accounts_refused", why=str(error))
        _put_aside(office.volume, path, refused)
        return
    # FAT lets nobody write what is read-only, nor remove it: what stays would be applied again at
    # every start, and undo what was changed since. So nothing is applied.
    open(path, "r+b").close()
    accounts_file.write(accounts)
    office.accounts.clear()
    office.accounts.update(accounts)
    event_log.log("accounts_changed",
                  set=",".join([name for name in changes if changes[name]]),
                  removed=",".join([name for name in changes if not changes[name]]))
    try:
        _remove(office.volume, path)
    except OSError as error:
        if office.volume.failure:
            raise
        event_log.log("accounts_repeat", why="%s was applied, and stays on the card: %s"
                      % (NAME, error), advice="remove it, or the next start applies it again")


def _changed(office, changes):
    """The accounts as they will be; raises AccountsError where the board could not work so."""
    accounts = office.accounts.copy()
    for name in changes:
        if changes[name]:
            accounts[name] = changes[name]
        else:
            accounts.pop(name, None)
    if not accounts:
        raise AccountsError("no account would be left")
    accounts_file.check_count(accounts)
    for setting, name in office.wanted_accounts():
        if name not in accounts:
            raise AccountsError("the setting %s names %s, which would be missing"
                                % (setting, name))
    return accounts


def _put_aside(volume, path, refused):
    """Copy and remove: a rename that is cut leaves two names for one chain of clusters."""
    if os.stat(path)[6] > limits.MAX_ACCOUNTS_FILE:
        return  # nobody's accounts, and long to copy
    volume.structural += 1
    try:
        with open(path, "rb") as file, open(refused, "wb") as copy:
            content = file.read(_PIECE)
            while content:
                copy.write(content)
                content = file.read(_PIECE)
    finally:
        volume.structural -= 1
    _remove(volume, path)


def _remove(volume, path):
    volume.structural += 1
    try:
        os.remove(path)
    finally:
        volume.structural -= 1
