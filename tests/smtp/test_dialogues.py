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
from picopost.smtp import dialogue, replies
import gc

class Directory:
    def __init__(self, hostname, users, catch_all, full):
        self.domains = (b"", hostname.encode())
        self.users = users
        self.catch_all = catch_all
        self.full = full
        self.admitted = []

    def resolve(self, local_part, domain):
        name = local_part.lower().decode()
        return name if name in self.users and domain in self.domains else self.catch_all

    def admit(self, mailbox, size):
        self.admitted.append((mailbox, size))
        return replies.MAILBOX_FULL if mailbox in self.full else None

class Session:
    def __init__(self, hostname, users, catch_all, full, max_size):
        self.directory = Directory(hostname, users, catch_all, full)
        self.dialogue = dialogue.Dialogue(hostname, self.directory, "192.168.1.20", max_size)
        self.in_data = False
        self.closed = False
        self.envelopes = []

    def line(self, line):
        d = self.dialogue
        assert not self.closed
        if self.in_data:
            self.in_data = line != b"."
            return b"" if self.in_data else d.data_done(replies.MAIL_ACCEPTED)
        if len(line) + 2 > limits.MAX_COMMAND_LINE:
            return d.too_long()
        reply, action = d.command(line)
        if action == dialogue.DATA:
            assert reply is None and d.recipients
            self.envelopes.append((d.reverse_path, d.recipients, d.declared_size))
            self.in_data = True
            return d.start_data()
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
    return said

def heap_of_a_dialogue(count=32):
    kept = [None] * count
    gc.collect()
    before = gc.mem_alloc()
    for i in range(count):
        kept[i] = dialogue.Dialogue("picopost.local", None, "192.168.1.20", 1000000)
    gc.collect()
    return (gc.mem_alloc() - before) // count
'''
DATA, QUIT = 1, 2  # dialogue.DATA, dialogue.QUIT


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec(STUB)
        yield machine


def start(vm: Vm, given: dialogues.Settings) -> bytes:
    """Begin a session called `s` in the VM; its greeting."""
    vm.exec(f"s = Session({given.hostname!r}, {given.users!r}, {given.catch_all!r}, "
            f"{given.full!r}, {given.max_size!r})")
    return vm.eval("s.dialogue.greeting()")


def say(vm: Vm, *lines: bytes) -> list[bytes]:
    """The session's answers to command lines and lines of messages, one each."""
    return vm.eval(f"[s.line(line) for line in {lines!r}]")


@pytest.mark.parametrize("script", dialogues.parse_all(DIALOGUES), ids=lambda script: script.name)
def test_dialogue(vm, script):
    said = start(vm, script.settings)

    def send(line):
        nonlocal said
        said += vm.eval(f"s.line({line!r})")

    def receive():
        nonlocal said
        line, end, said = said.partition(b"\r\n")
        assert end, f"{line!r} is no whole line"
        return line

    script.run(send, receive, lambda: said)


def test_envelope_is_that_of_the_open_transaction(vm):
    start(vm, dialogues.Settings(users=("girl", "dog"), catch_all="rest"))
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
    start(vm, dialogues.Settings(catch_all="girl"))
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
    formatted = "replies.format((214, b'2.0.0', b'a 214-b\\nc\\n'), b'xyz.com', %s)"
    assert vm.eval(formatted % True) == b"214-2.0.0 a 214-b\r\n214-2.0.0 c\r\n214 2.0.0 \r\n"
    assert vm.eval(formatted % False) == b"214-a 214-b\r\n214-c\r\n214 \r\n"
    constants = vm.eval("[getattr(replies, name) for name in dir(replies) if name.isupper() "
                        "and not name.startswith('_')]")
    assert len(constants) > 20
    for code, status, text in constants:
        assert status[:1] == b"%d" % (code // 100) or (not status and code in (220, 354)), text


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
    for text in ("what: is\n", "C: a\nwhat: is\n", "nothing\n", "max-size: x\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="script.txt"):
            dialogues.parse(path)


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
    start(vm, dialogues.Settings(catch_all="girl", max_size=1000))
    answers = vm.eval(f"fuzz({lines!r})")
    for reply, action, extended, helo, recipients, size, reverse_path in answers:
        if action == DATA:
            assert reply is None and recipients
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
