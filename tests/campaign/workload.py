"""The clients of the campaign: what they send, fetch and delete, over SMTP and POP3.

One thread drives all of them, so the order is the same in every run and each promise can be
stamped. `run` goes through all steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from tests.campaign.ledger import Delivery, Ledger, digest_of
from tests.support.wire import Lines, Pop3, stuffed

USERS = {"girl": "s3cret", "boy": "pa55", "cam": "lens"}
_IDLE_ANSWERS = 50
_MOST_NOOPS = 50  # in one session, before it is sent away
_PIECE = 3000  # octets: not a multiple of any block
_END = len(b"\r\n.\r\n")
_WORDS = ("From me", ">From you", ".", "..", ".dot", "", "M\xe9lange", "From: none", ">", "x" * 900)


class NoAnswer(Exception):
    """The appliance does not answer any more."""


# What a client meets when the appliance's power is cut: RST, the end of the stream, a closed port.
GONE = (ConnectionError, NoAnswer)


class Ports(Protocol):
    """What the steps need of a running appliance."""

    smtp: int
    pop3: int

    def restart(self) -> None: ...


def letter(number: int, size: int) -> bytes:
    """Letter `number`: CRLF lines, about `size` octets, with all that mbox and SMTP quote."""
    dice = random.Random(f"letter {number}")
    lines = [f"Subject: letter {number}", "", f"This is letter {number}."]
    octets = sum(len(line) + 2 for line in lines)
    while octets < size:
        if dice.random() < 0.1:
            line = dice.choice(_WORDS)
        else:
            line = dice.randbytes(dice.randrange(1, 38)).hex()
        line = line[: max(size - octets - 2, 0)]
        lines.append(line)
        octets += len(line) + 2
    return "".join(line + "\r\n" for line in lines).encode("latin-1")


class Clients:
    """Speaks to the appliance and keeps the ledger. Raises one of GONE when it is."""

    def __init__(self, ports: Ports, ledger: Ledger):
        self.ports = ports
        self.ledger = ledger
        self._letters = 0

    def restart(self) -> None:
        """A clean stop and start."""
        self.ports.restart()

    def idle(self) -> None:
        """Let the appliance come to the end of what it does in the background.

        That is when it answers many commands in a row without writing anything.
        """
        written, answers = -1, 0
        while answers < _IDLE_ANSWERS:
            with Lines(self.ports.smtp) as smtp:
                _expect(smtp.reply(), b"220")
                for _ in range(_MOST_NOOPS):
                    answers = answers + 1 if self.ledger.now() == written else 0
                    written = self.ledger.now()
                    _expect(smtp.say(b"NOOP"), b"250")
                smtp.say(b"QUIT")

    # --- SMTP ---------------------------------------------------------------------------------

    def send(self, size: int, *mailboxes: str) -> None:
        """One letter in a connection of its own."""
        self.finish(self.begin(size, *mailboxes))

    def send_all(self, sizes: list[int], *mailboxes: str) -> None:
        """Several letters in one connection."""
        smtp = None
        for size in sizes:
            upload = self.begin(size, *mailboxes, smtp=smtp)
            smtp = upload.smtp
            upload.finish()
        smtp.close()

    def begin(self, size: int, *mailboxes: str, smtp: Lines | None = None) -> Upload:
        """Up to 354; the text is still to be sent."""
        self._letters += 1
        if smtp is None:
            smtp = Lines(self.ports.smtp)
            _expect(smtp.reply(), b"220")
            _expect(smtp.say(b"EHLO abc.com"), b"250")
        _expect(smtp.say(b"MAIL FROM:<boy@abc.com>"), b"250")
        for mailbox in mailboxes:
            _expect(smtp.say(b"RCPT TO:<%s@xyz.com>" % mailbox.encode()), b"250")
        text = letter(self._letters, size)
        delivery = self.ledger.deliver(text, list(mailboxes))
        _expect(smtp.say(b"DATA"), b"354")
        return Upload(smtp, self.ledger, delivery, stuffed(text) + b".\r\n")

    def finish(self, upload: Upload) -> None:
        """The rest of the text, the 250, and good-bye."""
        upload.finish()
        upload.smtp.say(b"QUIT")
        upload.smtp.close()

    def send_together(self, *letters: tuple[int, tuple[str, ...]]) -> None:
        """(size, mailboxes): all in DATA at once, taking turns piece by piece."""
        uploads = [self.begin(size, *mailboxes) for size, mailboxes in letters]
        while any([upload.push(_PIECE) for upload in uploads]):
            pass
        for upload in uploads:
            self.finish(upload)

    def vanish(self, size: int, *mailboxes: str) -> None:
        """Leave in the middle of the text."""
        upload = self.begin(size, *mailboxes)
        upload.push(size * 2 // 3)
        upload.smtp.close()

    # --- POP3 ---------------------------------------------------------------------------------

    def note_uids(self, mailbox: str) -> dict[int, str]:
        """UIDL, into the ledger; returns number -> digest of each letter."""
        with self._login(mailbox) as pop:
            found = self._digests(pop, mailbox)
            pop.quit()
        return found

    def delete(self, mailbox: str, choose: Callable[[int, int], bool], quit: bool = True) -> None:
        """Delete the letters for which choose(number, octets) holds; without QUIT nothing goes."""
        with self._login(mailbox) as pop:
            found = self._digests(pop, mailbox)
            chosen = [number for number, octets in pop.sizes().items() if choose(number, octets)]
            for number in chosen:
                pop.command(b"DELE %d" % number)
            if quit:
                deletion = self.ledger.delete(mailbox, [found[number] for number in chosen])
                pop.quit()
                deletion.acked = self.ledger.replied()

    def _login(self, mailbox: str) -> Pop3:
        return Pop3(self.ports.pop3, mailbox, USERS[mailbox])

    def _digests(self, pop: Pop3, mailbox: str) -> dict[int, str]:
        """Which letter has which number: by its unique-id, or else by reading it."""
        known = self.ledger.uids.setdefault(mailbox, {})
        letters = {uid: digest for digest, uid in known.items()}
        found = {}
        for number, octets in pop.uids().items():
            uid = octets.decode()
            if uid not in letters:
                letters[uid] = fetch(pop, number)[1]
                known[letters[uid]] = uid
            found[number] = letters[uid]
        return found


class Upload:
    """A text on its way in, after 354."""

    def __init__(self, smtp: Lines, ledger: Ledger, delivery: Delivery, data: bytes):
        self.smtp = smtp
        self._ledger = ledger
        self._delivery = delivery
        self._data = data

    def push(self, octets: int) -> bool:
        """Send some more, but never the end; False when only the end is left."""
        piece = self._data[: min(octets, len(self._data) - _END)]
        self._data = self._data[len(piece):]
        self.smtp.socket.sendall(piece)
        return bool(piece)

    def finish(self) -> None:
        """Send what is left and wait for the 250."""
        self.smtp.socket.sendall(self._data)
        _expect(self.smtp.reply(), b"250")
        self._delivery.acked = self._ledger.replied()


def fetch(pop: Pop3, number: int) -> tuple[int, str]:
    """RETR: how many octets came, and the digest of those behind our trace lines."""
    skip = pop.trace_octets(number)
    text = pop.text(number)
    return len(text), digest_of(text[skip:])


def _expect(reply: bytes, code: bytes) -> None:
    if not reply:
        raise NoAnswer
    assert reply.startswith(code), reply


def _small_letters(clients: Clients) -> None:
    clients.send(300, "girl")
    clients.send(1200, "boy", "girl")
    clients.send_all([500, 2500, 3300], "girl")
    clients.send(700, "girl", "boy", "cam")


def _large_letters(clients: Clients) -> None:
    clients.send(6000, "girl")
    clients.send(30_000, "boy", "cam")
    clients.send(200_000, "cam")


def _together(clients: Clients) -> None:
    clients.send_together((20_000, ("girl", "boy")), (9000, ("cam",)), (2000, ("girl",)))
    clients.send_together((6000, ("cam",)), (800, ("boy",)), (40_000, ("cam", "girl")))


def _half_a_letter(clients: Clients) -> None:
    clients.vanish(50_000, "girl", "cam")
    clients.vanish(2000, "boy")


def _deletions(clients: Clients) -> None:
    clients.delete("girl", lambda number, octets: number % 2 == 0)
    clients.delete("cam", lambda number, octets: octets > 25_000)
    clients.delete("boy", lambda number, octets: True, quit=False)


def _all_gone(clients: Clients) -> None:
    """Every segment of the mailbox is freed, and it goes on from nothing."""
    clients.delete("cam", lambda number, octets: True)
    clients.send(900, "cam")
    clients.send(7000, "cam")


def _many_small(clients: Clients) -> None:
    """More than a segment and a step of the index hold; then most of them go, so both are packed.

    Mail comes in meanwhile, and a session takes the mailbox in the middle of it.
    """
    clients.send_all([3600 if number % 5 < 2 else 250 for number in range(160)], "boy")
    clients.delete("boy", lambda number, octets: number % 3 != 0)
    clients.send_all([600, 2000, 600], "boy", "girl")
    clients.idle()
    clients.delete("boy", lambda number, octets: number % 2 == 0)
    clients.note_uids("boy")
    clients.delete("boy", lambda number, octets: number % 8 == 0)
    clients.send(400, "boy")
    clients.idle()
    clients.send(400, "boy")


def run(clients: Clients) -> None:
    """All steps; every letter that is left at the end has its unique-id in the ledger."""
    for step in (_small_letters, _large_letters, _together, _deletions, Clients.restart,
                 _half_a_letter, _small_letters, _all_gone, Clients.restart,
                 _many_small, Clients.restart, _together, _deletions):
        step(clients)
        for mailbox in USERS:
            clients.note_uids(mailbox)
