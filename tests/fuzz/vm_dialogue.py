# Runs in the VM: plays the session of smtp.dialogue without I/O for tests/fuzz/dialogue.py.
import json

from picopost import policy
from picopost.smtp import dialogue, replies

_OUTCOMES = (replies.MAIL_ACCEPTED, replies.LOCAL_ERROR, replies.MESSAGE_TOO_BIG)
# The most that an attribute of the dialogue may hold, in octets and items; others: _BOUND.
# A path has 256 octets, a transaction 8 mailboxes, a line 1,024 octets.
_BOUND = 64
_BOUNDS = {"helo": 255, "reverse_path": 254, "envelope_id": 100, "recipients": 8 * 320,
           "notices": 100 * 40 + 2048, "_exchange": 1024 + 128 + 64, "refusal": 128}
_NOT_ITS_OWN = ("_directory", "_rules")

greatest = {}


def held(value):
    """Octets and items that `value` holds."""
    if isinstance(value, (bytes, bytearray, str)):
        return len(value)
    if isinstance(value, (tuple, list, set)):
        return len(value) + sum([held(each) for each in value])
    if isinstance(value, dict):
        return len(value) + sum([held(key) + held(value[key]) for key in value])
    if hasattr(value, "__dict__"):
        return sum([held(each) for each in value.__dict__.values()])
    return 0


def look_at_bounds(talk):
    kept = talk.__dict__
    for name in kept:
        if name in _NOT_ITS_OWN:
            continue
        size = held(kept[name])
        if size > greatest.get(name, -1):
            greatest[name] = size
            if size > _BOUNDS.get(name, _BOUND):
                raise AssertionError("%s holds %d" % (name, size))


class Directory:
    def __init__(self, accounts, domains, aliases, full):
        self._accounts = accounts
        self._domains = domains
        self._aliases = aliases
        self._full = full

    def resolve(self, local_part, domain):
        if domain and domain not in self._domains:
            return ()
        name = "".join([chr(octet) for octet in local_part.lower()])
        if name in self._accounts:
            return (name,)
        return self._aliases.get(name, self._accounts[:1] if name == "postmaster" else ())

    def owner(self, local_part, domain):
        name = "".join([chr(octet) for octet in local_part.lower()])
        return name if domain in self._domains and name in self._accounts else None

    def admit(self, mailbox, size):
        return replies.MAILBOX_FULL if mailbox in self._full else None


def visible(talk):
    return (talk.extended, talk.helo, talk.tls, talk.account, talk.errors, talk.failures,
            talk.reverse_path, tuple(talk.recipients), talk.declared_size, talk.utf8, talk.sender,
            talk.envelope_id, len(talk.notices), talk.chunking, talk.authenticating, talk.protocol)


def play(rules, directory, max_size, password, limit, entries):
    """[(reply, action, visible state or None where it is as before)], one for each line said."""
    talk = dialogue.Dialogue("xyz.com", directory, "192.168.1.20", max_size,
                             policy.Policy(json.loads(rules), {}, True, False))
    said = [(talk.greeting(), dialogue.NOTHING, None)]
    before = None
    for line, outcome, count in entries:
        for _ in range(count):
            reply, action = say(talk, line, outcome, password, limit)
            look_at_bounds(talk)
            state = visible(talk)
            said.append((reply, action, None if state == before else state))
            before = state
            if action == dialogue.QUIT:
                return said
    return said


def say(talk, line, outcome, password, limit):
    if len(line) + 2 > limit:
        return talk.refuse_line(replies.LINE_TOO_LONG, line[:16])
    reply, action = talk.command(line)
    if action == dialogue.DATA:
        assert reply is None
        if outcome == 3:
            return talk.refuse_data(replies.LOCAL_ERROR), action
        reply = talk.start_data() + talk.data_done(_OUTCOMES[outcome])
    elif action == dialogue.CHUNK:
        assert reply is None
        if talk.chunk_refusal:
            reply = talk.chunk_refused()
        elif talk.chunk_last or outcome in (1, 2):
            reply = talk.data_done(_OUTCOMES[outcome % 3])
        else:
            reply = talk.chunk_done()
    elif action == dialogue.AUTH:
        assert reply is None
        if talk.user.lower() in (b"girl", b"girl@xyz.com") and talk.password == password:
            reply = talk.authenticated("girl")
        else:
            reply = talk.not_authenticated(replies.AUTH_WRONG)
    elif action == dialogue.STARTTLS:
        assert reply is None
        if outcome:
            return talk.reply(replies.TLS_BUSY), action
        reply = talk.reply(replies.START_TLS)
        talk.tls_started()
    return reply, action
