"""The dialogues of dialogues/*.txt against smtp.dialogue inside the VM, and what they cannot show.

The session is played by a stub without I/O: it opens no store, and takes every message.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import dialogues
from tests.support.vm import Vm

DIALOGUES = Path(__file__).with_name("dialogues")

STUB = '''
from picopost import limits
from picopost import policy
from picopost.smtp import dialogue, parameters, replies
import gc
import json

class Directory:
    def __init__(self, hostname, users, catch_all, default_mailbox, full):
        self.domains = (b"", hostname.encode())
        self.users = users
        self.catch_all = catch_all
        self.default_mailbox = default_mailbox
        self.full = full
        self.admitted = []

    def resolve(self, local_part, domain):
        if domain in self.domains:
            for user in self.users:
                if local_part.lower() == user.encode():
                    return (user,)
            if self.catch_all:
                return (self.catch_all,)
        return (self.default_mailbox,) if self.default_mailbox else ()

    def owner(self, local_part, domain):
        name = str(local_part, "utf-8")
        return name if name in self.users and domain == self.domains[1] else None

    def admit(self, mailbox, size):
        self.admitted.append((mailbox, size))
        return replies.MAILBOX_FULL if mailbox in self.full else None

class Session:
    """What smtp.session does, without sockets and store: octets in, replies out."""

    def __init__(self, hostname, users, catch_all, default_mailbox, full, max_size, rules):
        self.directory = Directory(hostname, users, catch_all, default_mailbox, full)
        self.rules = policy.Policy(json.loads(rules), {}, True, False)
        self.dialogue = dialogue.Dialogue(hostname, self.directory, "192.168.1.20", max_size,
                                          self.rules)
        self.in_data = False
        self.in_chunk = 0
        self.closed = False
        self.envelopes = []
        self.rest = b""

    def feed(self, octets):
        said = b""
        self.rest += octets
        while self.rest and not self.closed:
            if self.in_chunk:
                count = min(self.in_chunk, len(self.rest))
                self.rest = self.rest[count:]
                self.in_chunk -= count
                if not self.in_chunk:
                    said += self.end_of_chunk()
                continue
            at = self.rest.find(b"\\n")
            if at < 0:
                break
            line, self.rest = self.rest[:at], self.rest[at + 1:]
            said += self.line(line[:-1] if line.endswith(b"\\r") else line)
        return said

    def end_of_chunk(self):
        d = self.dialogue
        if d.chunk_refusal:
            return d.chunk_refused()
        if d.chunk_last:
            return d.data_done(replies.MAIL_ACCEPTED)
        return d.chunk_done()

    def line(self, line):
        d = self.dialogue
        assert not self.closed
        if self.in_data:
            self.in_data = line != b"."
            return b"" if self.in_data else d.data_done(replies.MAIL_ACCEPTED)
        if len(line) + 2 > limits.MAX_COMMAND_LINE:
            reply, action = d.refuse_line(replies.LINE_TOO_LONG, line[:16])
            self.closed = action == dialogue.QUIT
            return reply
        reply, action = d.command(line)
        if action == dialogue.DATA:
            assert reply is None and d.recipients
            self.envelopes.append((d.reverse_path, d.recipients, d.declared_size))
            self.in_data = True
            return d.start_data()
        if action == dialogue.CHUNK:
            self.in_chunk = d.chunk_octets
            return b"" if self.in_chunk else self.end_of_chunk()
        if action == dialogue.AUTH:
            if self.rules.auth == policy.ANY_LOGIN:
                return d.authenticated("")
            if (d.user, d.password) == (b"girl", b"pw"):
                return d.authenticated("girl")
            return d.not_authenticated(replies.AUTH_WRONG)
        if action == dialogue.STARTTLS:
            reply = d.reply(replies.START_TLS)
            d.tls_started()
            return reply
        self.closed = action == dialogue.QUIT
        return reply

def fuzz(lines):
    d = s.dialogue
    said = []
    for line in lines:
        reply, action = d.command(line)
        said.append((reply, action, d.extended, d.helo, list(d.recipients), d.declared_size,
                     d.reverse_path))
        if action == dialogue.DATA:
            d.start_data()
            d.data_done(replies.MAIL_ACCEPTED)
        elif action == dialogue.CHUNK:
            if d.chunk_refusal:
                d.chunk_refused()
            elif d.chunk_last:
                d.data_done(replies.MAIL_ACCEPTED)
            else:
                d.chunk_done()
        elif action == dialogue.AUTH:
            assert isinstance(d.user, bytes) and isinstance(d.password, bytes)
            d.not_authenticated(replies.AUTH_WRONG)
        elif action == dialogue.STARTTLS:
            d.tls_started()
    return said

def heap_of_a_dialogue(count=32):
    kept = [None] * count
    rules = policy.Policy({}, {}, True, False)
    gc.collect()
    before = gc.mem_alloc()
    for i in range(count):
        kept[i] = dialogue.Dialogue("picopost.local", None, "192.168.1.20", 1000000, rules)
    gc.collect()
    return (gc.mem_alloc() - before) // count
'''
NOTHING, DATA, QUIT = 0, 1, 2  # dialogue.NOTHING, dialogue.DATA, dialogue.QUIT


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec(STUB)
        yield machine


def start(vm: Vm, given: dialogues.Settings) -> bytes:
    """Begin a session called `s` in the VM; its greeting."""
    vm.exec(f"s = Session({given.hostname!r}, {given.users!r}, {given.catch_all!r}, "
            f"{given.default_mailbox!r}, {given.full!r}, {given.max_size!r}, {given.rules!r})")
    return vm.eval("s.dialogue.greeting()")


def say(vm: Vm, *lines: bytes) -> list[bytes]:
    """The session's answers to command lines and lines of messages, one each."""
    return vm.eval(f"[s.line(line) for line in {lines!r}]")


@pytest.mark.parametrize("script", dialogues.parse_all(DIALOGUES), ids=lambda script: script.name)
def test_dialogue(vm, script):
    said = start(vm, script.settings)

    def send_raw(octets):
        nonlocal said
        said += vm.eval(f"s.feed({octets!r})")

    def receive():
        nonlocal said
        line, end, said = said.partition(b"\r\n")
        assert end, f"{line!r} is no whole line"
        return line

    script.run(lambda line: send_raw(line + b"\r\n"), receive, lambda: said, send_raw,
               lambda: None, lambda: None)


def test_envelope_is_that_of_the_open_transaction(vm):
    start(vm, dialogues.Settings(users=("girl", "dog"), default_mailbox="rest"))
    say(vm, b"EHLO abc.com", b"MAIL FROM:<@a,@b:\"a b\"@ABC.com> SIZE=700 BODY=8BITMIME",
        b"RCPT TO:<@c:Girl@XYZ.com>", b"RCPT TO:<x@elsewhere.com>", b"RCPT TO:girl",
        b"RCPT TO:<y@elsewhere.com>", b"RCPT TO:<\"do\\g\"@xyz.com>", b"DATA", b".")
    assert vm.eval("s.envelopes") == [
        (b'"a b"@ABC.com',
         [("girl", b"Girl@XYZ.com"), ("rest", b"x@elsewhere.com"), ("dog", b'"do\\g"@xyz.com')],
         700)]
    assert vm.eval("s.directory.admitted") == [("girl", 700), ("rest", 700), ("dog", 700)]
    cleared = "(s.dialogue.reverse_path, list(s.dialogue.recipients), s.dialogue.declared_size)"
    assert vm.eval(cleared) == (b"", [], 0)
    for verb in (b"RSET", b"HELO x", b"EHLO x"):
        say(vm, b"MAIL FROM:<boy@abc.com> SIZE=7", b"RCPT TO:<girl@xyz.com>")
        assert vm.eval(cleared) == (b"boy@abc.com", [("girl", b"girl@xyz.com")], 7)
        say(vm, verb)
        assert vm.eval(cleared) == (b"", [], 0)


def test_a_store_that_cannot_be_opened_leaves_the_transaction_open(vm):
    start(vm, dialogues.Settings())
    say(vm, b"EHLO abc.com", b"MAIL FROM:<boy@abc.com>", b"RCPT TO:<girl@xyz.com>")
    vm.exec("d = s.dialogue")
    for _ in range(2):
        assert vm.eval("d.command(b'DATA') == (None, dialogue.DATA)")
        assert vm.eval("d.refuse_data(replies.LOCAL_ERROR)").startswith(b"451 4.3.0 ")
    assert vm.eval("d.recipients") == [("girl", b"girl@xyz.com")]
    # A message that was refused at its end is over like one that was taken.
    assert vm.eval("d.data_done(replies.MESSAGE_TOO_BIG)").startswith(b"552 5.3.4 ")
    assert say(vm, b"DATA")[0].startswith(b"503 ")


def test_many_recipients_of_one_mailbox_are_bounded(vm):
    start(vm, dialogues.Settings(default_mailbox="girl"))
    bound = vm.eval("limits.MAX_RECIPIENTS")
    assert bound >= 100  # RFC 5321 4.5.3.1.8
    answers = say(vm, b"HELO abc.com", b"MAIL FROM:<>",
                  *(b"RCPT TO:<r%d@xyz.com>" % i for i in range(bound + 1)))
    assert [answer[:3] for answer in answers] == [b"250"] * (bound + 2) + [b"452"]
    assert vm.eval("s.dialogue.recipients") == [("girl", b"r0@xyz.com")]


@pytest.mark.parametrize("name, kept", [
    (b"abc.com", b"abc.com"),
    (b"[192.168.1.20]", b"[192.168.1.20]"),
    (b"[IPv6:fe80::1]", b"[IPv6:fe80::1]"),
    (b"my_camera-1", b"my_camera-1"),
    (b"  front door  ", b"front?door"),
    (b"a) by evil; (b\r\nX: y\x00\xff\"\\<>,@", b"a??by?evil???b??X:?y????????"),
    (b"x" * 256, b"x" * 255),
])
def test_helo_is_safe_for_a_received_line(vm, name, kept):
    start(vm, dialogues.Settings())
    for verb, extended in ((b"HELO ", False), (b"EHLO ", True)):
        say(vm, verb + name)
        assert vm.eval("(s.dialogue.helo, s.dialogue.extended)") == (kept, extended)


def test_only_permanent_refusals_count_as_errors(vm):
    start(vm, dialogues.Settings(users=("girl", "brim"), full=("brim",)))
    say(vm, b"HELO abc.com", b"NOOP", b"VRFY girl", b"MAIL FROM:<boy@abc.com>",
        b"RCPT TO:<brim@xyz.com>", b"RCPT TO:<girl@xyz.com>", b"DATA", b".")
    assert vm.eval("s.dialogue.errors") == 0
    say(vm, b"MAIL", b"RCPT", b"NONSENSE", b"x" * 2000, b"EXPN")
    assert vm.eval("s.dialogue.errors") == 5


def test_replies_of_the_session_carry_the_domain_where_they_must(vm):
    start(vm, dialogues.Settings())
    assert vm.eval("s.dialogue.reply(replies.TIMED_OUT)").startswith(b"421 xyz.com ")
    say(vm, b"EHLO abc.com")
    assert vm.eval("s.dialogue.reply(replies.TIMED_OUT)").startswith(b"421 4.4.2 xyz.com ")


def test_a_status_stands_in_every_line_and_agrees_with_its_code(vm):
    formatted = "replies.format(b'214 2.0.0 a 214-b\\nc\\n', b'xyz.com', %s)"
    assert vm.eval(formatted % True) == b"214-2.0.0 a 214-b\r\n214-2.0.0 c\r\n214 2.0.0 \r\n"
    assert vm.eval(formatted % False) == b"214-a 214-b\r\n214-c\r\n214 \r\n"
    constants = vm.eval("[reply for reply in [getattr(replies, name) for name in dir(replies)] "
                        "if isinstance(reply, bytes)]")
    assert len(constants) > 20
    for reply in constants:
        code, status, text = reply.split(b" ", 2)
        assert len(code) == 3 and code.isdigit() and text
        assert status[:1] == code[:1] or (status == b"-" and code in (b"220", b"354")), reply


def test_an_idle_dialogue_is_small(vm):
    # The VM's words are twice a board's: a board needs about half of it.
    assert vm.eval("heap_of_a_dialogue()") < 600


def test_a_script_that_is_not_followed_fails(tmp_path):
    path = tmp_path / "script.txt"
    path.write_text("users: a, b\nmax-size: 7\n\nS: 220 x ...\nC: HELO\nC\\ \\x00\n"
                    "S* 250\nS~ 2[25]1 bye\nS: 3\n")
    script = dialogues.parse(path)
    assert script.settings == dialogues.Settings(users=("a", "b"), max_size=7)
    good = (b"220 x y", b"250-a", b"250 b", b"221 bye", b"3")
    sent = []
    script.run(sent.append, list(good[::-1]).pop)
    assert sent == [b"HELO", b"\x00"]
    for bad in ((b"220 xy",), good[:1] + (b"251 a",), good[:2] + (b"251 a",),
                good[:3] + (b"221 bye bye",), good[:4] + (b"33",)):
        with pytest.raises(AssertionError, match="script.txt:[4-9]: wanted"):
            script.run(sent.append, list(bad[::-1]).pop)
    with pytest.raises(AssertionError, match="script.txt:5: before"):
        script.run(sent.append, list(good[::-1]).pop, lambda: b"more")
    for text in ("what: is\n", "C: a\nwhat: is\n", "nothing\n", "max-size: x\n", "port: 26\n",
                 "port: 25\nport: 25\n", "delivered: some\n", "T: now\n", "C: a\nT\n",
                 "X:\nC: a\n", "X:\nX:\n", "C: a\nport: 25\n", "left: all\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="script.txt"):
            dialogues.parse(path)


def test_a_script_with_tls_octets_and_an_end_of_the_clients(tmp_path):
    path = tmp_path / "script.txt"
    text = ("port: 587\ndelivered: 2\ncontains: \\xe9\\r\\nb: \n\nS* 220\nC: STARTTLS\nS: 2\nT:\n"
            "C< a\\nb \nC<  c\\x00\nS: 3\n# He goes.\nX:\n\n# Gone.\n")
    path.write_text(text)
    script = dialogues.parse(path)
    assert (script.port, script.delivered, script.contains) == (587, 2, b"\xe9\r\nb:")
    assert script.settings == dialogues.Settings()
    done = []
    play = {"send_raw": lambda octets: done.append(octets), "start_tls": lambda: done.append("TLS"),
            "hang_up": lambda: done.append("gone")}
    # What the server may still have said when the client goes is no matter.
    script.run(done.append, [b"3", b"2", b"220 x"].pop,
               lambda: b"4" if done[-1:] == ["gone"] else b"", **play)
    assert done == [b"STARTTLS", "TLS", b"a\nb ", b" c\x00", "gone"]
    # Nothing may be said between the line before the handshake and the handshake.
    with pytest.raises(AssertionError, match="script.txt:8: before TLS"):
        script.run(done.append, [b"3", b"2", b"220 x"].pop,
                   lambda: b"early" if done[-1:] == [b"STARTTLS"] else b"", **play)
    # A player of lines says so.
    with pytest.raises(NotImplementedError):
        script.run(done.append, [b"3", b"2", b"220 x"].pop)
    path.write_text(text.replace("587", "465"))
    done.clear()
    dialogues.parse(path).run(done.append, [b"3", b"2", b"220 x"].pop, **play)
    assert done[:2] == ["TLS", b"STARTTLS"]
    path.write_text("S: 220\n")
    script = dialogues.parse(path)
    assert (script.port, script.delivered, script.contains) == (25, 1, b"")


def test_a_script_with_answers_of_many_lines(tmp_path):
    path = tmp_path / "script.txt"
    path.write_text("port: 995\nwaiting: 3\nleft: 1\n\nC: RETR 1\nS. a b\nC: LIST\nS.\nS: +OK\n")
    script = dialogues.parse(path)
    assert (script.port, script.waiting, script.left) == (995, 3, 1)
    good = (b"+OK a c", b"x", b"x a b x", b".", b"+OK", b".", b"+OK")
    script.run(lambda line: None, list(good[::-1]).pop, start_tls=lambda: None)
    for bad, where in (((b"-ERR a b",), "6: wanted"), ((b"+OK a b", b"a", b"."), "6: no line with"),
                       (good[:4] + (b"-ERR",), "8: wanted")):
        with pytest.raises(AssertionError, match="script.txt:" + where):
            script.run(lambda line: None, list(bad[::-1]).pop, start_tls=lambda: None)
    path.write_text("S: +OK\n")
    script = dialogues.parse(path)
    assert (script.waiting, script.left) == (2, None)


# A reply as RFC 5321 4.2 defines it: textstring is tab and printable ASCII; one code.
REPLY = re.compile(rb"(?:(?P<code>[2-5][0-5]\d)-[\t -~]+\r\n)*(?P<last>[2-5][0-5]\d) [\t -~]+\r\n")

WORDS = st.sampled_from([
    b"HELO", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"VRFY", b"EXPN", b"HELP",
    b"QUIT", b"mail", b" FROM:", b" TO:", b" : ", b";", b"<", b">", b"@", b"girl", b"xyz.com",
    b"boy@abc.com", b"girl@xyz.com", b"<>", b'"', b"\\", b"[", b"]", b"[192.168.1.1]", b"IPv6:",
    b" SIZE=", b"12", b" BODY=", b"8BITMIME", b"=", b",", b".", b" ", b"\t", b"\r", b"\n", b"\x00",
    b"\xe9", b"x" * 60, b"1" * 300])
# Whole commands keep a dialogue going, so that odd lines are heard in every state.
LINES = st.one_of(
    st.sampled_from([b"EHLO abc.com", b"HELO abc.com", b"MAIL FROM:<boy@abc.com>",
                     b"MAIL FROM:<>", b"RCPT TO:<girl@xyz.com>", b"RCPT TO:<r1>", b"DATA"]),
    st.lists(WORDS, max_size=8).map(b"".join),
    st.builds(lambda head, rest: head + rest,
              st.sampled_from([b"MAIL FROM:", b"RCPT TO:", b"EHLO ", b"HELO "]),
              st.lists(WORDS, max_size=6).map(b"".join)),
    st.binary(max_size=80))


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=40))
def test_any_line_gets_a_reply_or_an_action(vm, lines):
    start(vm, dialogues.Settings(default_mailbox="girl", max_size=1000))
    answers = vm.eval(f"fuzz({lines!r})")
    for reply, action, extended, helo, recipients, size, reverse_path in answers:
        if reply is None:
            assert action not in (NOTHING, QUIT)
            assert action != DATA or recipients
        else:
            match = REPLY.fullmatch(reply)
            assert match and match["code"] in (None, match["last"]), reply
            assert all(len(line) <= 510 for line in reply.split(b"\r\n"))  # 4.5.3.1.5
            assert (action == QUIT) == (match["last"] == b"221")
            # The replies to HELO and EHLO have none (RFC 2034 4); all others, if wanted.
            status = re.match(rb"\d{3}[ -]([245])\.\d\.\d ", reply)
            if not reply.startswith((b"250 xyz.com", b"250-xyz.com")):
                assert bool(status) == extended and (not status or status[1] == reply[:1]), reply
        assert re.fullmatch(rb"[!-~]{0,255}", helo)
        assert re.fullmatch(rb"[ -~]{0,254}", reverse_path)
        assert len({mailbox for mailbox, _ in recipients}) == len(recipients) <= 8
        assert all(re.fullmatch(rb"[ -~]{1,254}", path) for _, path in recipients)
        assert 0 <= size <= 1000
