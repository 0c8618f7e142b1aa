"""Dialogues as text files: what the client sends, what the server has to answer.

    # A comment. Settings come first, one `name: value` a line; all have defaults:
    hostname: xyz.com
    users: girl, postmaster
    port: 25                        465, 995: the client does the TLS handshake when it connects
    delivered: 1                    how many letters are in girl's mailbox afterwards
    contains: 5 \\xb0C\\r\\n            octets of the last of them, with Python's escapes
    waiting: 2                      POP3: how many letters are in girl's mailbox before
    left: 1                         POP3: how many are there afterwards

    S: 220 xyz.com ready ...        the line begins with what stands before the three dots
    C: EHLO abc.com                 a line that the client sends; `C:` alone is an empty one
    S* 250                          a whole reply with this code, of one line or several
    S. letter 1                     POP3: +OK, lines up to the dot, and this text in one of them
    C\\ MAIL FROM:<b\\x00y@abc.com>   the same with Python's escapes
    C< MAIL FROM:<boy@abc.com>\\n   octets, with Python's escapes; no line end is added to them
    S~ 501 .*address.*              a line that the regular expression matches from end to end
    T:                              the client does the TLS handshake
    C: QUIT
    S: 221 2.0.0 xyz.com closing    this line, exactly
    X:                              instead of QUIT, the last step: the client closes

The lines of a message, and the dot after it, are C lines too. Several C lines without an S line
between them are pipelined. Between an S line and the next C line nothing more may be said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.wire import Lines

PORTS = (25, 110, 465, 587, 995)
_TLS_PORTS = (465, 995)


@dataclass(frozen=True)
class Settings:
    """The server that a dialogue is written for."""

    hostname: str = "xyz.com"  # also the domain of the users
    users: tuple[str, ...] = ("girl", "postmaster")
    catch_all: str | None = None  # the mailbox of all other names at that domain
    default_mailbox: str | None = None  # the mailbox of what is left, whatever its domain
    rules: str = "{}"  # of the listener, JSON as in the setting `listeners`
    full: tuple[str, ...] = ()  # the users whose mailbox has no room left
    max_size: int = 1_000_000  # octets


@dataclass(frozen=True)
class Step:
    """One line of the file: `kind` is "C", "C<", "S:", "S~", "S*", "S.", "T:" or "X:".

    `number` is where it stands.
    """

    number: int
    kind: str
    text: str | bytes

    def accepts(self, line: bytes) -> bool:
        """Whether a line of the server, without CRLF, is the one expected; of "S.", the first."""
        said = line.decode("ascii", "backslashreplace")
        if self.kind == "S~":
            return re.fullmatch(self.text, said) is not None
        if self.kind == "S*":
            return re.match(re.escape(self.text) + "[ -]", said) is not None
        if self.kind == "S.":
            return said.startswith("+OK")
        if self.text.endswith("..."):
            return said.startswith(self.text[:-3])
        return said == self.text


def _cannot(*_) -> None:
    raise NotImplementedError("this player plays lines only")


@dataclass
class Dialogue:
    """A parsed file. What is not in `settings` is for a player with sockets and a mailbox."""

    name: str
    settings: Settings = field(default_factory=Settings)
    port: int = 25
    delivered: int = 1
    contains: bytes = b""
    waiting: int = 2
    left: int | None = None
    steps: list[Step] = field(default_factory=list)

    def run(self, send: Callable[[bytes], None], receive: Callable[[], bytes],
            pending: Callable[[], bytes] = lambda: b"",
            send_raw: Callable[[bytes], None] = _cannot,
            start_tls: Callable[[], None] = _cannot,
            hang_up: Callable[[], None] = _cannot) -> None:
        """Play it. AssertionError, with file and line number, where the server says otherwise.

        `send` a line without CRLF; `receive` a line without CRLF; `pending`: what the server
        said that was not received yet, as far as it is known; `send_raw` octets as they are.
        """
        spoke = True
        if self.port in _TLS_PORTS:
            start_tls()
        for step in self.steps:
            where = f"{self.name}:{step.number}"
            if step.kind == "T:":
                assert not pending(), f"{where}: before TLS came {pending()!r}"
                start_tls()
                continue
            if step.kind == "X:":
                hang_up()
                return
            if step.kind in ("C", "C<"):
                assert not spoke or not pending(), f"{where}: before it came {pending()!r}"
                (send if step.kind == "C" else send_raw)(step.text)
                spoke = False
                continue
            spoke = True
            line = receive()
            assert step.accepts(line), f"{where}: wanted {step.text!r}, got {line!r}"
            while step.kind == "S*" and line[3:4] == b"-":
                line = receive()
                assert step.accepts(line), f"{where}: wanted {step.text!r}, got {line!r}"
            if step.kind == "S.":
                found = not step.text
                while (line := receive()) != b".":
                    found = found or step.text.encode() in line
                assert found, f"{where}: no line with {step.text!r}"
        assert not pending(), f"{self.name}: after the last line came {pending()!r}"


def play(script: Dialogue, port: int, heard: Callable[[bytes], bool] = lambda line: True,
         source: str = "127.0.0.1") -> None:
    """Play it to an outside port of an appliance, which has to hang up after it.

    A line for which `heard` says False is passed over as if it had not been said. `source` is the
    client's address.
    """
    with Lines(port, source=source) as connection:

        def receive() -> bytes:
            while True:
                line = connection.line()
                assert line.endswith(b"\r\n"), f"the appliance hung up after {line!r}"
                if heard(line[:-2]):
                    return line[:-2]

        script.run(lambda line: connection.socket.sendall(line + b"\r\n"), receive,
                   send_raw=lambda octets: connection.socket.sendall(octets),
                   start_tls=connection.start_tls, hang_up=connection.close)
        if script.steps[-1].kind != "X:":
            assert connection.line() == b"", f"{script.name}: the appliance did not hang up"


def parse(path: Path) -> Dialogue:
    """Read a file. ValueError, with its name and line number, for a line that is nothing."""
    dialogue = Dialogue(path.name)
    steps = dialogue.steps
    values = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if steps and steps[-1].kind == "X:":
            raise ValueError(f"{where}: {line!r} is after the client's end")
        kind, text = line[:2], line[2:].removeprefix(" ")
        if kind == "C:":
            steps.append(Step(number, "C", text.encode()))
        elif kind in ("C\\", "C<"):
            steps.append(Step(number, "C<" if kind == "C<" else "C", _unescaped(text)))
        elif kind in ("S:", "S~", "S*", "S."):
            steps.append(Step(number, kind, text.strip() if kind in ("S*", "S.") else text))
        elif line in ("T:", "X:"):
            steps.append(Step(number, line, ""))
        else:
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not colon or steps or name in values or kind in ("T:", "X:"):
                raise ValueError(f"{where}: what is {line!r}?")
            values[name] = value
    try:
        dialogue.port = int(values.pop("port", dialogue.port))
        dialogue.delivered = int(values.pop("delivered", dialogue.delivered))
        dialogue.contains = _unescaped(values.pop("contains", ""))
        dialogue.waiting = int(values.pop("waiting", dialogue.waiting))
        if "left" in values:
            dialogue.left = int(values.pop("left"))
        dialogue.settings = _settings(values)
        if dialogue.port not in PORTS:
            raise ValueError(f"no such port: {dialogue.port}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from None
    return dialogue


def _unescaped(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def _settings(values: dict[str, str]) -> Settings:
    named = {}
    for name, value in values.items():
        name = name.replace("-", "_")
        if name in ("users", "full"):
            named[name] = tuple(filter(None, (user.strip() for user in value.split(","))))
        else:
            named[name] = int(value) if name == "max_size" else value
    return Settings(**named)


def pop3_accounts(settings: Settings) -> dict[bytes, tuple[bytes, list[int]]]:
    """{name: (password, sizes of messages)}, where a user is `name:password:sizes`.

    `users: girl:secret:120 200, boy:pa55:`: two messages wait for girl, of so many octets.
    """
    users = (user.split(":") for user in settings.users)
    return {name.encode(): (password.encode(), [int(size) for size in sizes.split()])
            for name, password, sizes in users}


def parse_all(folder: Path) -> list[Dialogue]:
    """Every *.txt file of a folder, by name; ValueError where there is none."""
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise ValueError(f"no dialogues in {folder}")
    return [parse(path) for path in paths]
