"""The transcripts of zoo/*.txt: how devices and simple mail clients talk. tests/e2e plays them.

A file begins with a comment: `# Kind: device.`, `# Quirk: ...` and `# Known from: ...`.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import dialogues

ZOO = Path(__file__).with_name("zoo")
SCRIPTS = dialogues.parse_all(ZOO)


def header(script: dialogues.Dialogue) -> list[str]:
    """The comment that the file begins with, without the marks."""
    lines = []
    for line in (ZOO / script.name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        lines.append(line[2:])
    return lines


def octets(script: dialogues.Dialogue) -> bytes:
    """All that the client sends."""
    return b"".join(step.text + b"\r\n" * (step.kind == "C") for step in script.steps
                    if step.kind in ("C", "C<"))


def sends(pattern: str) -> Callable[[dialogues.Dialogue], bool]:
    return lambda script: re.search(pattern.encode(), octets(script), re.I | re.M) is not None


QUIRKS = {
    "AUTH PLAIN, initial response": sends(r"^AUTH PLAIN \S+"),
    "AUTH PLAIN, two steps": sends(r"^AUTH PLAIN\r$"),
    "AUTH PLAIN, account named twice": sends("^AUTH PLAIN Z2lybABnaXJsAHB3"),
    "AUTH LOGIN": sends(r"^AUTH LOGIN\r$"),
    "AUTH LOGIN, initial response": sends(r"^AUTH LOGIN \S+"),
    "AUTH after HELO": sends(r"^HELO [^\0]*^AUTH"),
    "EHLO after AUTH": sends(r"^AUTH [^\0]*^EHLO"),
    "STARTTLS": lambda script: script.port != 465 and any(s.kind == "T:" for s in script.steps),
    "implicit TLS": lambda script: script.port == 465,
    "HELO only": lambda script: sends("^HELO ")(script) and not sends("^EHLO")(script),
    "HELO after EHLO": sends(r"^EHLO [^\0]*^HELO"),
    "HELO with a bare address": sends(r"^(EHLO|HELO) [\d.]+\r$"),
    "HELO with blanks": sends(r"^(EHLO|HELO) \w+ \w+"),
    "bare LF in commands": sends(r"^MAIL.*[^\r]\n"),
    "bare LF in the text": sends(r"^DATA\r\n[^\0]*[^\r]\n"),
    "lines in pieces": lambda script: sum(s.kind == "C<" for s in script.steps) > 10,
    "no QUIT": lambda script: not sends("^QUIT")(script),
    "no wait for a reply": lambda script: script.steps[-2].kind[0] == "C",
    "pipelining": sends(r"^MAIL.*\r\nRCPT.*\r\nDATA"),
    "speaks first": lambda script: script.steps[0].kind[0] == "C",
    "several letters": lambda script: script.delivered > 1,
    "no letter": lambda script: script.delivered == 0,
    "no brackets": sends(r"^RCPT TO: ?[^ <]"),
    "blank after the colon": sends(r"^RCPT TO: +<"),
    "trailing blanks": sends(r"^DATA \r$"),
    "lower case": sends(r"^(?-i:mail) "),
    "null sender": sends(r"^MAIL FROM:<>"),
    "no domain": sends(r"^RCPT TO:<girl>"),
    "plus-addressing": sends(r"^RCPT TO:<girl\+"),
    "a refused recipient": lambda script: any(s.text == "550" for s in script.steps),
    "VRFY": sends("^VRFY "),
    "unknown verb": sends("^XADR"),
    "NOOP": sends("^NOOP"),
    "RSET": sends("^RSET"),
    "SIZE": sends(r"^MAIL .* SIZE=\d"),
    "DSN": lambda script: sends("^MAIL .* RET=")(script) and sends("^RCPT .* NOTIFY=")(script),
    "BDAT": sends(r"^BDAT \d+ LAST"),
    "SMTPUTF8": sends(r"^MAIL FROM:<[!-~]*[^\0-\x7f].* SMTPUTF8"),
    "8 bits in the text": sends(r"[\x80-\xff]"),
    "a long line": sends(r"^[^\r]{999}"),
    "dot-stuffing": sends(r"^\.\."),
    "a dot not stuffed": sends(r"^\.[^.\r]"),
    "no empty line after the header": sends(r"^Subject: .*\r\n\w+ is "),
    "no header": sends(r"^DATA\r\n(?![\w-]+:)"),
    "From_ line": sends("^From "),
    "receipt": sends("^Return-Receipt-To:"),
}


def test_there_are_many_and_of_many_kinds():
    assert len(SCRIPTS) >= 50
    assert len({header(script)[0].partition(":")[0] for script in SCRIPTS}) >= 25


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_transcript_says_what_it_is_and_can_be_played(script):
    comment = header(script)
    assert re.fullmatch(r"[\w' .]+: .*", comment[0]) and not comment[0].startswith("Quirk")
    assert comment[1].startswith("Quirk: ") or comment[2].startswith("Quirk: ")
    assert comment[-1].startswith("Known from: ")
    assert script.settings == dialogues.Settings()
    assert script.delivered == 0 or script.contains
    # It comes to an end: 221, or the client goes.
    last = script.steps[-1]
    assert last.kind == "X:" or (last.kind[0] == "S" and last.text == "221")
    # BDAT is followed by as many octets as it says, as one step or in the same one.
    said = octets(script)
    for match in re.finditer(rb"^BDAT (\d+)( LAST)?\r\n", said, re.M):
        end = match.end() + int(match[1])
        assert re.match(rb"BDAT|QUIT|MAIL", said[end:])


@pytest.mark.parametrize("quirk", QUIRKS)
def test_some_transcript_shows(quirk):
    assert any(QUIRKS[quirk](script) for script in SCRIPTS)
