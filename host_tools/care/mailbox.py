"""One mailbox, over the network by POP3, into an mbox file."""

from __future__ import annotations

import hashlib
import poplib
import re
import time
from collections.abc import Callable
from pathlib import Path

from host_tools import tls_identity
from host_tools.errors import UserError
from host_tools.new_file import new_file

_PATIENCE = 60  # s for an answer
_POP3, _POP3S = 110, 995
_FROM = re.compile(rb">*From ")
_RETURN_PATH = re.compile(rb"Return-Path:\s*<([^<>\s]+)>", re.IGNORECASE)
# poplib takes none longer than 2 KB, and letters have them.
poplib._MAXLINE = 1 << 26


class Connection:
    """A POP3 session, in TLS where the server has it: from the start at port 995 and with `tls`,
    else by STLS.

    `trust(fingerprint)`, SHA-256 in hex digits as the board says it, is asked about the certificate
    that nobody has signed; it raises UserError for one that is not known. `warn` is told when there
    is no TLS. Raises UserError.
    """

    def __init__(self, host: str, port: int, tls: bool, trust: Callable[[str], None],
                 warn: Callable[[str], None]):
        # Whom it talks with is asked here below.
        context = tls_identity.unchecked()
        self._name = f"{host} port {port}"
        encrypted = tls or port == _POP3S
        with _failures(self._name, "" if encrypted else "; is it a port for SSL/TLS? --tls"):
            if encrypted:
                self._pop3 = poplib.POP3_SSL(host, port, timeout=_PATIENCE, context=context)
            else:
                self._pop3 = poplib.POP3(host, port, timeout=_PATIENCE)
        try:
            with _failures(self._name):
                if not encrypted and "STLS" in self._pop3.capa():
                    self._pop3.stls(context)
                    encrypted = True
            if encrypted:
                certificate = self._pop3.sock.getpeercert(binary_form=True)
                trust(hashlib.sha256(certificate).hexdigest())
            else:
                warn(f"{self._name} has no TLS: password and mail cross the network in the clear")
        except BaseException:
            self._pop3.close()
            raise

    def log_in(self, user: str, password: str) -> None:
        """Raises UserError for a login that is refused."""
        with _failures(f"{self._name}, user {user}"):
            self._pop3.user(user)
            self._pop3.pass_(password)

    def fetch(self, path: Path, progress: Callable[[int, int], None]) -> int:
        """Write all messages, which stay where they are, to the new file `path`; how many. What
        breaks off leaves no file. Raises UserError.
        """
        with new_file(path, 0o600) as file, _failures(self._name):
            return self._fetch(file, progress)

    def _fetch(self, file, progress: Callable[[int, int], None]) -> int:
        count, total = self._pop3.stat()
        done = 0
        for number in range(1, count + 1):
            _, lines, octets = self._pop3.retr(number)
            try:
                write(file, lines)
            except OSError as error:
                raise UserError(f"{file.name}: {error.strerror}") from error
            done += octets
            progress(done, total)
        return count

    def close(self) -> None:
        """Say good-bye, as far as there is somebody to hear it."""
        try:
            self._pop3.quit()
        except (OSError, poplib.error_proto, EOFError):
            self._pop3.close()


def write(file, lines: list[bytes]) -> None:
    """A message in mboxrd, with LF line ends."""
    sender = b"MAILER-DAEMON"
    for line in lines:
        if not line:
            break
        if found := _RETURN_PATH.match(line):
            sender = found[1]
            break
    file.write(b"From %s %s\n" % (sender, time.asctime(time.gmtime()).encode()))
    for line in lines:
        file.write((b">" if _FROM.match(line) else b"") + line + b"\n")
    file.write(b"\n")


def address(given: str) -> tuple[str, int]:
    """(host, port) of HOST[:PORT], where an IPv6 address with a port stands in brackets. Raises
    UserError."""
    match = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+)(?::(\d+))?", given)
    if match:
        host, port = match[1] or match[3], match[2] or match[4]
    elif ":" in given and re.fullmatch(r"[0-9a-fA-F:.]+", given):
        host, port = given, None
    else:
        raise UserError(f"--from {given}: want HOST or HOST:PORT")
    if port and not 0 < int(port) < 65536:
        raise UserError(f"--from {given}: there is no such port")
    return host, int(port or _POP3)


class _failures:
    """Of the network or the server, as UserError; a file's stay what they are. `why` it may
    be that a server hangs up.
    """

    def __init__(self, where: str, why: str = ""):
        self._where = where
        self._why = why

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, _) -> None:
        if isinstance(error, poplib.error_proto):
            said = error.args[0] if error.args else b""
            said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            if said == "-ERR EOF":  # poplib's own words
                raise UserError(f"{self._where}: it hangs up{self._why}") from error
            raise UserError(f"{self._where}: it says {said!r}") from error
        if isinstance(error, (OSError, EOFError)) and not getattr(error, "filename", None):
            raise UserError(f"{self._where}: {getattr(error, 'strerror', None) or error}"
                            ) from error
