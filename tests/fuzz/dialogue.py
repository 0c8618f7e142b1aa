"""Random dialogues: the firmware's dialogue in the VM against the model, line by line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import grammar, model
from tests.fuzz.model import Directory, Model, Rules
from tests.support.vm import Vm

_MAX_SIZE = 1_000_000
DIRECTORY = Directory(
    ("girl", "dog", "brim", *(f"u{number}" for number in range(9))),
    (b"xyz.com", b"xyz.com.local"),
    {"all": ("u1", "u2", "u3", "u4", "u5"), "rest": ("u6", "u7")}, ("brim",))
RULES = (Rules(), Rules(require_auth=True), Rules(require_tls=True), Rules(auth=False),
         Rules(auth="any"), Rules(starttls=False), Rules(require_tls=True, starttls=False),
         Rules(require_tls=True, require_auth=True))
# RFC 5321 4.2: textstring is tab and printable ASCII; one code. A challenge may be empty (4954 4).
REPLY = re.compile(rb"(?:(?P<code>[2-5][0-5]\d)-[\t -~]+\r\n)*"
                   rb"(?P<last>[2-5][0-5]\d) (?:[\t -~]+|(?<=334 ))\r\n")
_STATUS = re.compile(rb"\d{3}[ -]([245])\.\d\.\d ")
# RFC 2034 4: no status in the greeting, after HELO and EHLO, and in 3xx.
_NO_STATUS = re.compile(rb"(?:220 xyz\.com |250[ -]xyz\.com|3)")
_LINE = 512  # RFC 5321 4.5.3.1.5


@dataclass
class Script:
    """One dialogue: (line, outcome of what it leads to, repetitions), and what has to come."""

    rules: Rules
    entries: list[tuple[bytes, int, int]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Script({self.rules!r}, [\n  " + ",\n  ".join(map(repr, self.entries)) + "])"


def expected(script: Script) -> list[tuple[list[int], int, tuple, tuple]]:
    """[(codes, action, visible state, what EHLO offers)], one for each line that will be heard."""
    talk = Model(script.rules, DIRECTORY, _MAX_SIZE)
    wanted = []
    for line, outcome, count in script.entries:
        for _ in range(count):
            codes, action = _say(talk, line, outcome)
            wanted.append((codes, action, talk.visible(), talk.offers))
            if action == model.QUIT:
                return wanted
    return wanted


def _say(talk: Model, line: bytes, outcome: int) -> tuple[list[int], int]:
    too_long = len(line) + 2 > model.MAX_LINE
    code, action = talk.refuse_line(line, True) if too_long else talk.line(line)
    if code is not None:
        return [code], action
    ends = (250, 451, 552)
    if action == model.DATA:
        return [talk.reply(451)] if outcome == 3 else [354, talk.data_done(ends[outcome])], action
    if action == model.CHUNK:
        if talk.chunk_refusal:
            return [talk.chunk_refused()], action
        if talk.chunk_last or outcome in (1, 2):
            return [talk.data_done(ends[outcome % 3])], action
        return [talk.chunk_done()], action
    if action == model.AUTH:
        user, password = talk.credentials
        good = user.lower() in (b"girl", b"girl@xyz.com") and password == grammar.PASSWORD
        return [talk.authenticated("girl" if good else None)], action
    if outcome:
        return [454], action
    talk.tls_started()
    return [220], action


@st.composite
def scripts(draw, most: int = 80) -> Script:
    """Up to `most` lines, until the client is sent away."""
    script = Script(draw(st.sampled_from(RULES)))
    talk = Model(script.rules, DIRECTORY, _MAX_SIZE)
    for _ in range(draw(st.integers(1, most))):
        line, count = grammar.draw_line(draw, talk)
        line = line.replace(b"\n", b"")
        outcome = 0
        before = talk.state
        script.entries.append((line, outcome, count))
        for number in range(count):
            if number == 0 and before in (model.RCPT, model.CHUNKS, model.READY):
                outcome = draw(st.sampled_from((0, 0, 0, 0, 1, 2, 3)))
                script.entries[-1] = (line, outcome, count)
            if _say(talk, line, outcome)[1] == model.QUIT:
                return script
    return script


class Player:
    """A VM that plays scripts; `lines` counts what was said, `drawn` without the repetitions."""

    def __init__(self):
        self.vm = Vm(heap_kib=4096)  # a dialogue and all that was said in it
        self.vm.exec(Path(__file__).with_name("vm_dialogue.py").read_text())
        self.vm.exec(f"directory = Directory({DIRECTORY.accounts!r}, {DIRECTORY.domains!r}, "
                     f"{DIRECTORY.aliases!r}, {DIRECTORY.full!r})")
        self.lines = self.drawn = self.dialogues = 0

    def play(self, script: Script) -> None:
        """AssertionError where the firmware does not do what the model says."""
        wanted = expected(script)
        said = self.vm.eval(
            f"play({json.dumps(script.rules.settings())!r}, directory, {_MAX_SIZE}, "
            f"{grammar.PASSWORD!r}, {model.MAX_LINE}, {script.entries!r})")
        self.dialogues += 1
        self.drawn += len(script.entries)
        self.lines += len(wanted)
        greeting = said.pop(0)[0]
        assert greeting.startswith(b"220 xyz.com "), greeting
        assert len(said) == len(wanted), f"{len(said)} lines were heard, not {len(wanted)}"
        lines = [line for line, _, count in script.entries for _ in range(count)]
        state, extended = None, False
        for line, (reply, action, after), (codes, what, visible, offers) in zip(
                lines, said, wanted, strict=False):
            state = after or state
            check_reply(reply, codes, extended if action == model.STARTTLS else visible[0],
                        offers, line)
            assert action == what or (action, what) == (0, what) and codes[0] >= 400, (
                f"{line!r}: action {action}, not {what}")
            assert state == visible, f"after {line!r} stands {state}, not {visible}"
            extended = visible[0]

    def greatest(self) -> dict[str, int]:
        """The most octets and items that each attribute of a dialogue held."""
        return self.vm.eval("greatest")

    def close(self) -> None:
        self.vm.close()

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def check_reply(octets: bytes, codes: list[int], extended: bool, offers: tuple[bool, bool],
                line: bytes) -> None:
    """`octets` are replies with these codes, well formed, with a status where the client asked."""
    matches = list(REPLY.finditer(octets))
    assert b"".join(match[0] for match in matches) == octets, f"{line!r}: {octets!r} is no reply"
    came = [int(match["last"]) for match in matches]
    assert came == codes, f"{line!r}: {codes} was wanted, {octets!r} came"
    for match in matches:
        reply = match[0]
        assert match["code"] in (None, match["last"]), reply
        assert all(len(each) + 2 <= _LINE for each in reply.split(b"\r\n")), reply
        if _NO_STATUS.match(reply):
            if b"\nSIZE " in reply.replace(b"250-", b""):
                assert (b"AUTH PLAIN LOGIN\r\n" in reply, b"250 STARTTLS\r\n" in reply) == offers
            continue
        status = _STATUS.match(reply)
        assert bool(status) == extended and (not status or status[1] == reply[:1]), reply
