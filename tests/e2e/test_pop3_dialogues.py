"""The text dialogues of tests/pop3/dialogues again, over a socket, against the whole appliance.

Here messages come with our own lines before them, so the sizes in the files are not those on the
wire: each is taken for what it stands for, a sum of messages. Our lines are checked elsewhere.
"""

import dataclasses
import re
from itertools import combinations
from pathlib import Path

import pytest

from tests.e2e.conftest import KINDS
from tests.pop3.message import message
from tests.support import dialogues
from tests.support.appliance import Appliance
from tests.support.wire import Pop3, send

SCRIPTS = dialogues.parse_all(Path(__file__).parents[1] / "pop3" / "dialogues")
_TRACE = re.compile(rb"Return-Path: |Received: |\t")


def groups() -> dict[str, list[dialogues.Dialogue]]:
    """The scripts by the host name that they are written for: one appliance each."""
    found = {}
    for script in SCRIPTS:
        found.setdefault(script.settings.hostname, []).append(script)
    return found


def users_of(scripts: list[dialogues.Dialogue]) -> dict[str, str]:
    """{name: password}; nobody may have two."""
    users = {}
    for script in scripts:
        for name, (password, _) in dialogues.pop3_accounts(script.settings).items():
            assert users.setdefault(name.decode(), password.decode()) == password.decode(), script
    return users


def sums(sizes: list[int]) -> list[int]:
    """Of all choices of messages, in an order that depends on their number only."""
    return [sum(chosen) for count in range(1, len(sizes) + 1)
            for chosen in combinations(sizes, count)]


def fill(appliance: Appliance, name: bytes, wanted: list[int]) -> dict[int, int]:
    """New messages for an empty mailbox; {size in the file: size on the wire}, sums too."""
    for number, size in enumerate(wanted, 1):
        text = b"".join(line + b"\r\n" for line in message(number, size))
        assert len(text) == size
        address = b"%s@%s" % (name, appliance.hostname.encode())
        assert send(appliance.smtp, text, to=(address,)).startswith(b"250")
    with Pop3(appliance.pop3, name.decode(), appliance.users[name.decode()]) as pop3:
        found = [len(pop3.text(number)) for number in pop3.sizes()]
    assert len(found) == len(wanted) == len(set(wanted))
    return dict(zip(sums(wanted), sums(found), strict=True))


def with_sizes(script: dialogues.Dialogue, sizes: dict[int, int]) -> dialogues.Dialogue:
    """It, with the sizes on the wire for those in the server's lines."""
    def on_the_wire(match: re.Match) -> str:
        return str(sizes.get(int(match[0]), match[0]))

    return dataclasses.replace(script, steps=[
        dataclasses.replace(step, text=re.sub(r"\b\d+\b", on_the_wire, step.text))
        if step.kind == "S:" else step for step in script.steps])


@pytest.mark.parametrize("board", KINDS)
def test_pop3_dialogues(tmp_path, board):
    for hostname, scripts in groups().items():
        with Appliance(tmp_path / f"{hostname}.img", board, users_of(scripts),
                       hostname=hostname) as appliance:
            for script in scripts:
                sizes = {}
                accounts = dialogues.pop3_accounts(script.settings)
                for name, (_, wanted) in accounts.items():
                    sizes |= fill(appliance, name, wanted)
                dialogues.play(with_sizes(script, sizes), appliance.pop3,
                               lambda line: not _TRACE.match(line))
                for number, (name, (password, _)) in enumerate(accounts.items()):
                    left = Pop3(appliance.pop3, name.decode(), password.decode()).take_all()
                    assert number or script.left in (None, len(left)), script.name
            assert not appliance.faults()
