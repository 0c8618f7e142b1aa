"""The transcripts of tests/pop3/zoo, how mail programs talk, over sockets of both kinds."""

from pathlib import Path

import pytest

from tests.e2e.conftest import KINDS
from tests.support import dialogues
from tests.support.appliance import Appliance
from tests.support.wire import Pop3, send

ZOO = dialogues.parse_all(Path(__file__).parents[1] / "pop3" / "zoo")


@pytest.fixture(scope="module", params=KINDS)
def appliance(request, tmp_path_factory):
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, {"girl": "pw"}) as running:
        yield running
        assert running.faults() == []


def fill(appliance: Appliance, count: int) -> None:
    """Put letters 1 to `count` into girl's mailbox, which has none yet."""
    for number in range(1, count + 1):
        text = b"Subject: letter %d\r\n\r\n" % number + b"This is its text.\r\n" * 200
        assert send(appliance.smtp, text).startswith(b"250")
        appliance.wait_for("closed")


def empty(appliance: Appliance) -> int:
    """How many letters girl's mailbox had; it has none then."""
    count = len(Pop3(appliance.pop3, "girl", "pw").take_all())
    appliance.wait_for("closed")
    return count


@pytest.mark.parametrize("script", ZOO, ids=lambda script: script.name.removesuffix(".txt"))
def test_is_served(appliance, script):
    fill(appliance, script.waiting)
    try:
        dialogues.play(script, appliance.ports[script.port])
    finally:  # what a transcript that failed has left is not for the next
        appliance.wait_for("closed")
        count = empty(appliance)
    assert count == script.left
