# Runs inside the MicroPython VM: the part of a POP3 session around the dialogue, over a maildrop
# that is a list of sizes. message.py runs before it.
from picopost import limits, policy
from picopost.pop3 import dialogue, replies


class Maildrop:
    def __init__(self, sizes):
        self.sizes = sizes
        self.deleted = set()
        self.reads = 0  # how often the card would have been read
        self.broken = False

    @property
    def count(self):
        return len(self.sizes)

    @property
    def octets(self):
        return sum(self.sizes)

    @property
    def live_count(self):
        return self.count - len(self.deleted)

    @property
    def live_octets(self):
        return self.octets - sum(self.sizes[number - 1] for number in self.deleted)

    def _read(self):
        self.reads += 1
        if self.broken:
            raise OSError(5)

    def octets_of(self, number):
        self._read()
        return self.sizes[number - 1]

    def put_uid(self, number, buffer, at):
        self._read()
        uid = b"uid-%d" % number
        buffer[at : at + len(uid)] = uid
        return at + len(uid)

    def is_deleted(self, number):
        return number in self.deleted

    def delete(self, number):
        if self.broken:
            raise OSError(5)
        self.deleted.add(number)

    def reset(self):
        self.deleted.clear()


class Session:
    """`accounts`: {name: (password, sizes of the messages)}. `exchange` gives all that the client
    receives for a line."""

    def __init__(self, hostname, accounts, rules=None, can_tls=True, private_logins=False):
        self.dialogue = dialogue.Dialogue(
            hostname, policy.Policy(rules or {}, {}, can_tls, private_logins),
            lambda account: b"NEVER")
        self.accounts = accounts
        self.maildrop = None
        self.refusal = None  # what a login with the right password is refused with
        self.update_fails = False
        self.action = None
        self.closed = False

    def exchange(self, line):
        try:
            return self._exchange(line)
        except OSError:
            return replies.STORE_FAILED

    def _exchange(self, line):
        if self.closed:
            return b""
        talk = self.dialogue
        reply, self.action = talk.command(line)
        if self.action == dialogue.LOGIN:
            assert reply is None
            password, sizes = self.accounts.get(talk.user, (None, None))
            if password != talk.password:
                return talk.refused(replies.WRONG_CREDENTIALS)
            if self.refusal:
                return talk.refused(self.refusal)
            self.maildrop = Maildrop(sizes)
            return talk.logged_in(talk.user.decode(), self.maildrop)
        if self.action == dialogue.STLS:
            assert reply is None
            talk.tls_started()
            return replies.START_TLS
        if self.action == dialogue.LISTING:
            return reply + self._listing(talk.listing_line)
        if self.action == dialogue.UID_LISTING:
            return reply + self._listing(talk.uid_listing_line)
        if self.action == dialogue.RETRIEVE:
            octets = self.maildrop.sizes[talk.message - 1]
            lines = message(talk.message, octets)  # noqa: F821 of message.py
            if talk.lines >= 0:
                lines = lines[:2 + talk.lines]
            return reply + b"".join(line + b"\r\n" for line in lines) + b".\r\n"
        if self.action == dialogue.UPDATE:
            assert reply is None
            self.closed = True
            return talk.updated(not self.update_fails)
        if self.action == dialogue.QUIT:
            self.closed = True
        return reply

    def _listing(self, formatter):
        text = b""
        buffer = bytearray(limits.MAX_POP3_LISTING_LINE)
        for number in range(1, self.maildrop.count + 1):
            text += bytes(buffer[:formatter(number, buffer, 0)])
        return text + b".\r\n"
