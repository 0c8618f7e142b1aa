"""Mail programs that send, a crowd, restarts, and the card itself, on each board.

What fetches is in test_pop3_clients.py, what sends with a login or in TLS in
test_secure_clients.py.
"""

from __future__ import annotations

import poplib
import smtplib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e import clients, letters
from tests.e2e.conftest import BOARDS
from tests.e2e.letters import LETTERS
from tests.support.appliance import Appliance

# What it takes a crowd to be let in, a try every tenth of a second.
_TRIES = 300


def test_missing_program_skips_unless_all_are_required(monkeypatch):
    monkeypatch.delenv("PICOPOST_REQUIRE_CLIENTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Debian's package nomail"):
        clients.need("no-such-mailer", "nomail")
    monkeypatch.setenv("PICOPOST_REQUIRE_CLIENTS", "1")
    with pytest.raises(pytest.fail.Exception, match="Debian's package nomail"):
        clients.need("no-such-mailer", "nomail")


@pytest.mark.parametrize("sender", clients.SENDERS)
def test_sent_letters_come_back_octet_for_octet(appliance, home, sender):
    for message in LETTERS.values():
        clients.SENDERS[sender](appliance, home, f"{sender}@{appliance.hostname}", message)
    fetched = clients.fetch_all(appliance, sender)
    assert [letters.without_trace(message) for message in fetched] == list(LETTERS.values())


def test_five_senders_of_a_megabyte_and_a_reader(appliance):
    """One more than there are sessions for: somebody is told to come back, and does."""
    sent = {mark: letters.letter(mark, letters.attachment(seed, 740_000))
            for seed, mark in enumerate(("red", "green", "blue", "black", "white"))}
    expected = {**LETTERS, **sent}
    address = f"crowd@{appliance.hostname}"

    def deliver(message: bytes) -> None:
        clients.send(appliance, [address], message, _patiently(clients.smtp))

    reader = clients.log_in(appliance, "crowd")  # so the first round surely meets the senders
    with ThreadPoolExecutor(len(sent)) as pool:
        senders = [pool.submit(deliver, message) for message in sent.values()]
        while True:
            finished = all(sender.done() for sender in senders)
            with closing(reader):
                count = reader.stat()[0]
                fetched = letters.by_mark(clients.retrieve(reader, number + 1)
                                          for number in range(count))
                reader.quit()
            assert fetched == {mark: expected[mark] for mark in fetched}
            assert set(LETTERS) <= set(fetched)
            if finished:
                break
            reader = clients.log_in(appliance, "crowd", _patiently(clients.pop3))
    for sender in senders:
        sender.result()
    assert set(letters.by_mark(clients.fetch_all(appliance, "crowd"))) == set(expected)


def _patiently(connect: Callable) -> Callable:
    """`connect`, tried again while all sessions are in use: as a mail program does, but sooner.

    Once greeted, a client is served; from there on nothing is forgiven.
    """
    def connect_at_last(appliance: Appliance):
        for _ in range(_TRIES):
            try:
                return connect(appliance)
            except (ConnectionRefusedError, ConnectionResetError):
                pass  # reset: came to the host's port when the chip's last listener was leaving
            except smtplib.SMTPServerDisconnected as error:
                if not isinstance(error.__context__, ConnectionResetError):
                    raise
            except smtplib.SMTPConnectError as error:
                if error.smtp_code != 421:
                    raise
            except poplib.error_proto as error:
                if b"[SYS/TEMP]" not in error.args[0]:
                    raise
            time.sleep(0.1)
        raise AssertionError(f"not let in at {_TRIES} tries")
    return connect_at_last


def _uidls(appliance: Appliance, user: str) -> list[bytes]:
    with closing(clients.log_in(appliance, user)) as client:
        listing = client.uidl()[1]
        client.quit()
    return [line.split()[1] for line in listing]


@pytest.mark.parametrize("board", BOARDS)
def test_mail_and_unique_ids_outlive_restarts(board, tmp_path):
    card = tmp_path / "card.img"
    with Appliance(card, board) as first:
        for message in LETTERS.values():
            clients.send(first, ["girl@xyz.com"], message)
        messages = clients.fetch_all(first, "girl")
        uidls = _uidls(first, "girl")
    assert len(set(uidls)) == len(LETTERS)
    with Appliance(card, board) as second:
        assert clients.fetch_all(second, "girl") == messages
        assert _uidls(second, "girl") == uidls
        with closing(clients.log_in(second, "girl")) as client:
            client.dele(2)
            client.quit()
        clients.send(second, ["girl@xyz.com"], LETTERS["small"])
    with Appliance(card, board) as third:
        now = clients.fetch_all(third, "girl")
        assert now[:-1] == [messages[0], *messages[2:]]
        assert letters.without_trace(now[-1]) == LETTERS["small"]
        *old, new = _uidls(third, "girl")
        assert old == [uidls[0], *uidls[2:]]
        assert new not in uidls
    assert first.faults() + second.faults() + third.faults() == []


@pytest.fixture(scope="module", params=BOARDS)
def segments(request, tmp_path_factory) -> list[Path]:
    """The mbox files that mtools finds on the card of an appliance that was stopped."""
    home = tmp_path_factory.mktemp("card_of_" + request.param)
    card = home / "card.img"
    with Appliance(card, request.param) as running:
        for message in LETTERS.values():
            clients.send(running, ["girl@xyz.com"], message)
    assert running.faults() == []
    return clients.copy_from_card(card, "::mail/girl", home)


def test_python_reads_the_card(segments):
    messages = [message for path in segments for message in letters.mboxrd_messages(path)]
    assert letters.by_mark(messages) == LETTERS
    for message in messages:
        letters.without_trace(message.replace(b"\n", b"\r\n"))


def test_mutt_reads_the_card(segments, home):
    for path in segments:
        clients.copy_with_mutt(str(path), home / "inbox", home)
    copies = letters.mboxcl2_messages(home / "inbox")
    assert letters.by_mark(letters.unquoted(message) for message in copies) == LETTERS
