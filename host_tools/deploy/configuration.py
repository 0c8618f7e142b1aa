"""What a board is told beside its firmware: settings, accounts, TLS key and certificate."""

from __future__ import annotations

import hashlib
import json

from host_tools import accounts, tls_identity
from host_tools.care import known
from host_tools.deploy import answers as questions
from host_tools.deploy import checked
from host_tools.deploy.answers import Answers
from host_tools.device import choice
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError

SETTINGS = "settings.json"
ACCOUNTS = "accounts.txt"
_FIRST_USER = "me"  # whom a board without accounts makes (firmware/picopost/enrolment.py)


class Configuration:
    """What a board has, and what it is given over that. All methods raise UserError."""

    def __init__(self, prompt: Prompt, given: Answers, yes: bool):
        self._prompt = prompt
        self._given = given
        self._yes = yes
        self._settings: dict = {}
        self._lines: dict[str, str] = {}
        self._written: dict[str, bytes | None] = {}

    @classmethod
    def of(cls, prompt: Prompt, given: Answers, yes: bool) -> Configuration:
        """Read what the board has. What it cannot start with is left out, if its owner agrees
        (`yes`: has agreed already), and kept beside as `settings.bad` and `accounts.bad`.
        """
        read = cls(prompt, given, yes)
        for path in (SETTINGS, ACCOUNTS):
            read._written[path] = prompt.read(path)
        read._read_settings()
        read._read_accounts()
        return read

    def _read_settings(self) -> None:
        content = self._written[SETTINGS]
        try:
            has = {} if content is None else _as_the_board_reads(self._prompt, content)
        except UserError as error:
            self._leave_out(SETTINGS, content, f"{error}, so what it forbids is not known")
            has = {}
        self._settings, refused = checked.merged(has, self._given.settings)
        if refused:
            self._leave_out(SETTINGS, content, "; ".join(refused))

    def _read_accounts(self) -> None:
        content = self._written[ACCOUNTS] or b""
        try:
            checked.check_accounts_file(content, ACCOUNTS)
            self._lines = accounts.parse(content.decode())
        except (UnicodeDecodeError, accounts.AccountError, UserError) as error:
            self._leave_out(ACCOUNTS, content, str(error))

    def _leave_out(self, path: str, content: bytes, why: str) -> None:
        bad = path.rpartition(".")[0] + ".bad"
        choice.confirm(f"The board cannot start with what it has: {why}.\nLeave that out? The file "
                       f"stays on the board as {bad}.", self._yes)
        self._prompt.put(bad, content, bad + ".new")

    def complete(self, definition: dict) -> None:
        """Ask for what is still to be said, and look at all of it as the firmware will."""
        given = self._given
        questions.ask(given, definition, self._settings, bool(self._lines))
        self._settings, _ = checked.merged(self._settings, given.settings)
        for name, password in given.users.items():
            self._lines[name] = accounts.line(name, password)
        names = list(self._lines) or [_FIRST_USER]
        checked.check_given(given.settings, given.where, names)
        checked.check_accounts(self._settings, names)

    def write(self) -> list[str]:
        """Write what is not there or other; which."""
        changed = []
        settings = json.dumps(self._settings).encode()
        if not _alike(settings, self._written[SETTINGS]):
            self._put(SETTINGS, settings)
            changed.append("settings")
        lines = accounts.text(self._lines).encode()
        if self._lines and lines != self._written[ACCOUNTS]:
            self._put(ACCOUNTS, lines)
            changed.append("accounts")
        hostname = self._settings.get("hostname", "picopost")
        # The board's own is kept: mail programs know it. Its key is nowhere else.
        certificate = self._prompt.read(tls_identity.CERTIFICATE) or b""
        if not tls_identity.fits(self._prompt.read(tls_identity.KEY) or b"", certificate, hostname):
            key, certificate = tls_identity.make(hostname)
            self._prompt.put_together({tls_identity.KEY: key,
                                       tls_identity.CERTIFICATE: certificate})
            changed.append("TLS key and certificate")
        # For `backup --from`, which asks this board for its mail over the network.
        known.remember(hashlib.sha256(certificate).hexdigest())
        return changed

    def _put(self, path: str, content: bytes) -> None:
        self._prompt.put(path, content, path.rpartition(".")[0] + ".new")
        self._written[path] = content


def _as_the_board_reads(prompt: Prompt, content: bytes) -> dict:
    """MicroPython's json takes what ours does not, such as a comma at the end."""
    try:
        settings = json.loads(content)
    except ValueError:
        prompt.run("import json", "its json cannot be asked")
        settings = prompt.value(f"json.load(open({SETTINGS!r}))", f"{SETTINGS} cannot be read")
    if not isinstance(settings, dict):
        raise UserError(f"{SETTINGS} is no object")
    return settings


def _alike(new: bytes, old: bytes | None) -> bool:
    """Whether they say the same."""
    try:
        return old is not None and json.loads(new) == json.loads(old)
    except ValueError:
        return False
