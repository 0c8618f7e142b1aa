"""Dialogues as text files: what the client sends, what the server has to answer.

    # A comment. Settings come first, one `name: value` a line; all have defaults:
    hostname: xyz.com
    users: girl, postmaster

    S: 220 xyz.com ready ...        the line begins with what stands before the three dots
    C: EHLO abc.com                 a line that the client sends; `C:` alone is an empty one
    S* 250                          a whole reply with this code, of one line or several
    C\\ MAIL FROM:<b\\x00y@abc.com>   the same with Python's escapes
    S~ 501 .*address.*              a line that the regular expression matches from end to end
    C: QUIT
    S: 221 2.0.0 xyz.com closing    this line, exactly

The lines of a message, and the dot after it, are C lines too. Several C lines without an S line
between them are pipelined. Between an S line and the next C line nothing more may be said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The server that a dialogue is written for."""

    hostname: str = "xyz.com"  # also the domain of the users
    users: tuple[str, ...] = ("girl", "postmaster")
    catch_all: str | None = None  # the mailbox of all other names, at any domain
    full: tuple[str, ...] = ()  # the users whose mailbox has no room left
    max_size: int = 1_000_000  # octets


@dataclass(frozen=True)
class Step:
    """One line of the file: `kind` is "C", or "S:", "S~", "S*"; `number` is where it stands."""

    number: int
    kind: str
    text: str | bytes

    def accepts(self, line: bytes) -> bool:
        """Whether a line of the server, without CRLF, is the one expected."""
        said = line.decode("ascii", "backslashreplace")
        if self.kind == "S~":
            return re.fullmatch(self.text, said) is not None
        if self.kind == "S*":
            return re.match(re.escape(self.text) + "[ -]", said) is not None
        if self.text.endswith("..."):
            return said.startswith(self.text[:-3])
        return said == self.text


@dataclass
class Dialogue:
    """A parsed file."""

    name: str
    settings: Settings = field(default_factory=Settings)
    steps: list[Step] = field(default_factory=list)

    def run(self, send: Callable[[bytes], None], receive: Callable[[], bytes],
            pending: Callable[[], bytes] = lambda: b"") -> None:
        """Play it. AssertionError, with file and line number, where the server says otherwise.

        `send` a line without CRLF; `receive` a line without CRLF; `pending`: what the server
        said that was not received yet, as far as it is known.
        """
        spoke = True
        for step in self.steps:
            where = f"{self.name}:{step.number}"
            if step.kind == "C":
                assert not spoke or not pending(), f"{where}: before it came {pending()!r}"
                send(step.text)
                spoke = False
                continue
            spoke = True
            line = receive()
            assert step.accepts(line), f"{where}: wanted {step.text!r}, got {line!r}"
            while step.kind == "S*" and line[3:4] == b"-":
                line = receive()
                assert step.accepts(line), f"{where}: wanted {step.text!r}, got {line!r}"
        assert not pending(), f"{self.name}: after the last line came {pending()!r}"


def parse(path: Path) -> Dialogue:
    """Read a file. ValueError, with its name and line number, for a line that is nothing."""
    dialogue = Dialogue(path.name)
    values = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}:{number}"
        kind, text = line[:2], line[2:].removeprefix(" ")
        if kind == "C:":
            dialogue.steps.append(Step(number, "C", text.encode()))
        elif kind == "C\\":
            unescaped = text.encode("latin-1").decode("unicode_escape").encode("latin-1")
            dialogue.steps.append(Step(number, "C", unescaped))
        elif kind in ("S:", "S~", "S*"):
            dialogue.steps.append(Step(number, kind, text.strip() if kind == "S*" else text))
        elif line.strip() and not line.startswith("#"):
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not colon or dialogue.steps:
                raise ValueError(f"{where}: what is {line!r}?")
            values[name] = value
    try:
        dialogue.settings = _settings(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from None
    return dialogue


def _settings(values: dict[str, str]) -> Settings:
    named = {}
    for name, value in values.items():
        name = name.replace("-", "_")
        if name in ("users", "full"):
            named[name] = tuple(filter(None, (user.strip() for user in value.split(","))))
        else:
            named[name] = int(value) if name == "max_size" else value
    return Settings(**named)


def parse_all(folder: Path) -> list[Dialogue]:
    """Every *.txt file of a folder, by name; ValueError where there is none."""
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise ValueError(f"no dialogues in {folder}")
    return [parse(path) for path in paths]
