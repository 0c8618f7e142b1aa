"""The transcripts of tests/smtp/zoo over sockets, and the letters that they leave behind."""

from pathlib import Path

import pytest

from tests.e2e.conftest import KINDS
from tests.support import dialogues
from tests.support.appliance import Appliance
from tests.support.wire import Pop3

ZOO = dialogues.parse_all(Path(__file__).parents[1] / "smtp" / "zoo")


@pytest.fixture(scope="module", params=KINDS)
def appliance(request, tmp_path_factory):
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, {"girl": "pw"}) as running:
        yield running
        assert running.faults() == []


def end_of_session(appliance) -> None:
    """Wait until the session with the device is over, whatever its service is called."""
    while appliance.wait_for("closed")["service"] == "pop3":
        pass


def collect(appliance) -> list[bytes]:
    """The letters in girl's mailbox, which is empty then."""
    return Pop3(appliance.pop3, "girl", "pw").take_all()


@pytest.mark.parametrize("script", ZOO, ids=lambda script: script.name.removesuffix(".txt"))
def test_is_served(appliance, script):
    port = appliance.ports[script.port]
    try:
        dialogues.play(script, port)
    finally:  # what a transcript that failed has left is not for the next
        end_of_session(appliance)
        letters = collect(appliance)
    assert len(letters) == script.delivered
    if script.delivered:
        assert script.contains in letters[-1]
