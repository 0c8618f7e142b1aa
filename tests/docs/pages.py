"""The pages of firmware/docs as the tests use them: tables, faults and fenced blocks, untouched.

What stands for the reader's own is the same on each page. It is replaced here, and nothing else is:

    192.168.1.10    picopost's address          the appliance's
    192.168.1.20    the device's                the test's
    port 25, ...    in a file or a table        the appliance's outside port
    PASSWORD        alice's                     the test's
    FINGERPRINT     of picopost's certificate   the appliance's
    /home/alice     her folder                  the test's
    /usr/..., ...   where a file lies           where the test puts it
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import events, tls_identity
from tests.support.appliance import ROOT, Appliance
from tests.support.ports import PORTS

DOCS = ROOT / "firmware" / "docs"
HOSTNAME = "picopost"
USERS = {"alice": "wm4k-9xtc"}
_HOST, _PICOPOST, _DEVICE = "127.0.0.1", "192.168.1.10", "192.168.1.20"
_PORT = re.compile(r"(port[:= ]+|%s:)(%s)\b" % (_HOST, "|".join(str(port) for port in PORTS)))
# (page, section, name) of the blocks that somebody asked for.
asked: set[tuple[str, str, str]] = set()
# Sections of a page.
TEST, FAULTS = "Its test message", "When it does not work"


@dataclass(frozen=True)
class Block:
    """A fenced block: `name` is the file that the line before it names, else its language."""

    page: str
    section: str
    name: str
    text: str

    def __str__(self):
        return f"{self.page}: {self.section}: {self.name}"


@dataclass
class Section:
    """`level` of its heading, what is above it, and what is in it until the next heading."""

    title: str
    level: int
    above: str
    blocks: list[Block] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)

    def block(self, name: str) -> str | None:
        """The text of the one block of that name; None: there is none. ValueError: several."""
        found = [block.text for block in self.blocks if block.name == name]
        if len(found) > 1:
            raise ValueError(f"{self.title}: {len(found)} blocks {name}")
        asked.update((block.page, block.section, name) for block in self.blocks
                     if block.name == name)
        return found[0] if found else None

    def __getitem__(self, name: str) -> str:
        """The same; KeyError: there is none."""
        text = self.block(name)
        if text is None:
            raise KeyError(f"{self.title}: no block {name}")
        return text


class Page:
    """A page of firmware/docs/; `name` is its file without folder and suffix."""

    def __init__(self, path: Path):
        self.path = path
        self.name = path.stem
        self.text = path.read_text(encoding="utf-8")
        self.links = re.findall(r"\]\(([^)\s]+)\)", self.text)
        # The lines that Markdown may take for code without a fence.
        self.indented: list[str] = []
        self.sections = self._sections()

    def _sections(self) -> list[Section]:
        sections: list[Section] = []
        above = {0: ""}
        lines = iter(self.text.splitlines())
        before = raw = ""  # the last line that has anything in it; the last line
        for line in lines:
            if heading := re.fullmatch(r"(#+) (.+)", line):
                level = len(heading[1])
                above[level] = heading[2]
                sections.append(Section(heading[2], level, above[level - 1]))
            elif line.startswith("```"):
                text = []
                while (inner := next(lines)) != "```":
                    text.append(inner + "\n")
                named = re.search(r"`([^`]+)`:$", before)
                sections[-1].blocks.append(Block(
                    self.name, sections[-1].title, named[1] if named else line[3:],
                    "".join(text)))
            elif line.startswith("|"):
                cells = [cell.strip() for cell in line.strip("|").split("|")]
                if not raw.startswith("|"):
                    sections[-1].tables.append([])
                if not set("".join(cells)) <= set("-:"):
                    sections[-1].tables[-1].append(cells)
            elif line.startswith("    "):
                self.indented.append(line)
            before, raw = line or before, line
        return sections

    @property
    def blocks(self) -> list[Block]:
        return [block for section in self.sections for block in section.blocks]

    def section(self, title: str) -> Section:
        """ValueError: there is not exactly one of that title."""
        found = [section for section in self.sections if section.title == title]
        if len(found) != 1:
            raise ValueError(f"{self.name} has {len(found)} sections {title}")
        return found[0]

    @property
    def faults(self) -> list[Section]:
        return [section for section in self.sections if section.above == FAULTS]

    @property
    def worked(self) -> Section:
        """The section that says how to see that it works."""
        return self.section(TEST)


def read(folder: Path = DOCS) -> dict[str, Page]:
    """All pages below firmware/docs/ by name; AssertionError where two have the same name."""
    pages = [Page(path) for path in sorted(folder.rglob("*.md"))]
    assert pages and len({page.name for page in pages}) == len(pages)
    return {page.name: page for page in pages}


# --- what stands for the reader's own -------------------------------------------------------

def here(text: str, appliance: Appliance | None = None) -> str:
    """A text of a page for this machine, and for an appliance once there is one."""
    text = text.replace(_PICOPOST, _HOST).replace(_DEVICE, _HOST)
    if appliance:
        text = _PORT.sub(lambda match: f"{match[1]}{appliance.ports[int(match[2])]}", text)
        text = text.replace("PASSWORD", appliance.users["alice"])
        text = text.replace("FINGERPRINT", tls_identity.fingerprint(appliance.certificate()))
    return text


def shown(event: dict) -> str:
    """An event as `make logs` shows it to a reader, as the pages have it: the time left out, how
    many octets a letter has too.
    """
    return _plain(events.shown(event).split("  ", 1)[1].replace(_HOST, _DEVICE))


def quoted(log: str) -> str:
    """A line of the log on a page, in comparable form: it may be broken where it has a blank."""
    return _plain(log)


def _plain(line: str) -> str:
    return re.sub(r"octets=\d+", "octets=...", " ".join(line.split()))
