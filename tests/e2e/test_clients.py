"""Mail programs that people and devices use, against the whole appliance on each board.

What a program alters is taken into account where it does, and nowhere else: fetchmail, mpop and
mutt write LF line ends and lines of their own, so their copies are compared from the marker on.
"""

from __future__ import annotations

import mailbox
import poplib
import re
import smtplib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import clients
from tests.e2e.clients import LETTERS
from tests.e2e.conftest import BOARDS
from tests.support.appliance import Appliance

# What it takes a crowd to be let in, a try every tenth of a second.
_TRIES = 300


@pytest.mark.parametrize("sender", clients.SENDERS)
def test_sent_letters_come_back_octet_for_octet(appliance, home, sender):
    for message in LETTERS.values():
        clients.SENDERS[sender](appliance, home, f"{sender}@{appliance.hostname}", message)
    fetched = clients.fetch_all(appliance, sender)
    assert [clients.without_trace(message) for message in fetched] == list(LETTERS.values())


def test_poplib_reads_sizes_lists_and_tops(appliance):
    client = clients.log_in(appliance, "poplib_reader")
    try:
        messages = [clients.retrieve(client, number) for number in range(1, len(LETTERS) + 1)]
        assert [clients.without_trace(message) for message in messages] == list(LETTERS.values())
        sizes = [len(message) for message in messages]
        assert client.stat() == (len(messages), sum(sizes))
        assert client.list()[1] == [b"%d %d" % pair for pair in enumerate(sizes, 1)]
        for number, message in enumerate(messages, 1):
            header, _, body = message.partition(b"\r\n\r\n")
            top = b"".join(line + b"\r\n" for line in client.top(number, 1)[1])
            assert top == header + b"\r\n\r\n" + body[:body.index(b"\r\n") + 2]
        client.quit()
    finally:
        client.close()


def test_curl_lists_and_retrieves(appliance, home):
    url = f"pop3://{clients.HOST}:{appliance.pop3}/"
    user = "curl_reader"
    command = [*clients.curl(), "--user", f"{user}:{appliance.users[user]}"]
    listing = clients.run([*command, url], home)
    messages = [clients.run([*command, f"{url}{number}"], home)
                for number in range(1, len(LETTERS) + 1)]
    assert [clients.without_trace(message) for message in messages] == list(LETTERS.values())
    assert listing.split() == b" ".join(
        b"%d %d" % (number, len(message)) for number, message in enumerate(messages, 1)).split()


def test_fetchmail_keeps_then_deletes(appliance, home):
    kept = clients.fetch_with_fetchmail(appliance, "fetchmail", home, "keep")
    assert clients.by_mark(kept) == LETTERS
    # Its exit status 1: it knows these by their unique-ids, so there is no new mail.
    assert clients.fetch_with_fetchmail(appliance, "fetchmail", home, "keep", status=1) == []
    assert len(clients.fetch_all(appliance, "fetchmail")) == len(LETTERS)
    again = clients.fetch_with_fetchmail(appliance, "fetchmail", home, "fetchall no keep")
    assert clients.by_mark(again) == LETTERS
    assert clients.fetch_all(appliance, "fetchmail") == []


def test_mpop_keeps_in_mbox(appliance, home):
    path = home / "inbox"
    path.touch()
    for _ in range(2):  # the second run finds all unique-ids in its file
        clients.fetch_with_mpop(appliance, "mpop_mbox", home, f"mbox {path}", keep=True)
    assert clients.by_mark(read_mbox(path)) == LETTERS
    assert len(clients.fetch_all(appliance, "mpop_mbox")) == len(LETTERS)


def test_mpop_moves_into_maildir(appliance, home):
    inbox = mailbox.Maildir(home / "inbox", create=True)
    clients.fetch_with_mpop(appliance, "mpop_maildir", home, f"maildir {home}/inbox", keep=False)
    assert clients.by_mark(inbox.get_bytes(key) for key in inbox.keys()) == LETTERS
    assert clients.fetch_all(appliance, "mpop_maildir") == []
