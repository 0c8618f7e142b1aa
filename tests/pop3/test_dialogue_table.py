"""What the text dialogues cannot show: bad arguments of every kind, faults, counters, memory."""

import pytest

GIRL = {b"girl": (b"secret", [120])}
BAD_NUMBERS = [b"99999999999", b"1" * 240, b"007", b"00", b"+1", b"-1", b"1e3", b"1.0", b"0x1",
               b"1_0", b"*", b"1,", b"1\x00", b"\x00", b"\xb2", "\uff11".encode(), b"\xff"]
NO_MESSAGES = [b"0", b"3", b"4294967295", b"9999999999"]
NUMBERED = [b"LIST %s", b"UIDL %s", b"RETR %s", b"DELE %s", b"TOP %s 0"]


@pytest.mark.parametrize("form", NUMBERED)
def test_bad_message_numbers_are_refused_without_a_look_at_the_card(client, form):
    client.log_in([120, 200])
    for number in BAD_NUMBERS:
        assert client.say(form % number) == b"-ERR not a number\r\n", number
    for number in NO_MESSAGES:
        assert client.say(form % number) == b"-ERR no such message\r\n", number
    assert client.say(b"STAT") == b"+OK 2 320\r\n"
    assert client.maildrop("reads") == 0


def test_bad_line_counts_are_refused(client):
    client.log_in([120, 200])
    for number in BAD_NUMBERS:
        assert client.say(b"TOP 1 " + number) == b"-ERR not a number\r\n", number
    for number, lines in ((b"0", 0), (b"7", 7), (b"4294967295", 0x3FFFFFFF)):
        assert client.say(b"TOP 1 " + number).startswith(b"+OK")
        assert client.dialogue("lines") == lines
    client.say(b"RETR 1")
    assert client.dialogue("lines") == -1


def test_the_longest_user_name(client):
    greatest = client.vm.eval("limits.MAX_USER")
    assert greatest >= 40  # RFC 1939 3
    client.connect({b"u" * greatest: (b"p", [])})
    assert client.say(b"USER " + b"u" * (greatest + 1)) == b"-ERR [AUTH] user name too long\r\n"
    assert client.say(b"PASS p") == b"-ERR USER first\r\n"
    assert client.say(b"USER " + b"u" * greatest) == b"+OK send PASS\r\n"
    assert client.say(b"PASS p").startswith(b"+OK")


def test_spaces_at_the_end_are_tolerated(client):
    client.connect(GIRL)
    for line in (b"CAPA ", b"USER girl  ", b"PASS secret", b"STAT ", b"LIST  ", b"LIST 1 ",
                 b"UIDL   ", b"RETR 1  ", b"TOP 1 0 ", b"DELE 1 ", b"RSET ", b"NOOP ", b"QUIT  "):
        assert client.say(line).startswith(b"+OK"), line


def test_sizes_and_unique_ids_are_read_only_when_needed(client):
    client.log_in([120, 200, 60])
    for line, reads in ((b"STAT", 0), (b"NOOP", 0), (b"RSET", 0), (b"DELE 2", 0), (b"TOP 1 0", 0),
                        (b"LIST 1", 1), (b"UIDL 1", 1), (b"RETR 1", 1), (b"LIST", 2),
                        (b"UIDL", 2), (b"LIST 2", 0)):
        before = client.maildrop("reads")
        client.say(line)
        assert client.maildrop("reads") - before == reads, line


def test_an_unreadable_card_changes_nothing(client):
    client.log_in([120, 200])
    client.say(b"DELE 2")
    client.vm.exec("session.maildrop.broken = True")
    for line in (b"LIST 1", b"UIDL 1", b"RETR 1", b"DELE 1", b"LIST", b"UIDL"):
        assert client.say(line) == b"-ERR [SYS/TEMP] the mail cannot be read now\r\n", line
    client.vm.exec("session.maildrop.broken = False")
    assert client.say(b"STAT") == b"+OK 1 120\r\n"
    assert client.say(b"LIST 1") == b"+OK 1 120\r\n"


@pytest.mark.parametrize("name, code, failures", [
    ("IN_USE", b"[IN-USE]", 0), ("STORE_FAILED", b"[SYS/TEMP]", 0),
    ("WRONG_CREDENTIALS", b"[AUTH]", 1)])
def test_a_refused_login_says_why_and_starts_again(client, name, code, failures):
    client.connect(GIRL)
    client.vm.exec(f"session.refusal = replies.{name}")
    client.say(b"USER girl")
    assert client.say(b"PASS secret").startswith(b"-ERR " + code)
    assert client.dialogue("failures") == failures
    assert client.dialogue("errors") == 1
    assert client.dialogue("user") is None
    assert client.dialogue("password") is None
    assert client.say(b"PASS secret") == b"-ERR USER first\r\n"
    assert client.say(b"STAT") == b"-ERR log in first\r\n"


def test_every_refusal_is_counted_and_nothing_else(client):
    client.connect(GIRL)
    for line, errors, failures in (
            (b"CAPA", 0, 0), (b"STAT", 1, 0), (b"", 2, 0), (b"USER girl", 2, 0), (b"PASS x", 3, 1),
            (b"USER girl", 3, 1), (b"PASS y", 4, 2), (b"USER girl", 4, 2), (b"PASS secret", 4, 2),
            (b"LIST 2", 5, 2), (b"LIST", 5, 2), (b"RETR x", 6, 2)):
        client.say(line)
        assert (client.dialogue("errors"), client.dialogue("failures")) == (errors, failures), line
    assert client.dialogue("too_long()") == b"-ERR line too long\r\n"
    assert client.dialogue("errors") == 7


def test_a_line_too_long_leaves_the_state(client):
    client.connect(GIRL)
    client.say(b"USER girl")
    client.dialogue("too_long()")
    assert client.say(b"PASS secret").startswith(b"+OK")


@pytest.mark.parametrize("fails, reply", [
    (False, b"+OK xyz.com POP3 server signing off\r\n"),
    (True, b"-ERR [SYS/TEMP] some deleted messages not removed\r\n")])
def test_quit_after_login_promises_only_what_was_done(client, fails, reply):
    client.log_in([120, 200])
    client.say(b"DELE 1")
    client.vm.exec(f"session.update_fails = {fails}")
    assert client.say(b"QUIT") == reply
    assert client.vm.eval("session.action == dialogue.UPDATE")


def test_quit_before_login_deletes_nothing(client):
    client.connect(GIRL)
    client.say(b"USER girl")
    client.say(b"QUIT")
    assert client.vm.eval("session.action == dialogue.QUIT")


def test_nothing_is_allowed_after_quit(client):
    client.log_in([120])
    client.say(b"QUIT")
    for line in (b"USER girl", b"PASS secret", b"STAT", b"DELE 1", b"RSET", b"CAPA", b"QUIT"):
        assert client.dialogue(f"command({line!r})") == (b"-ERR not in this state\r\n", 0), line


def test_the_password_is_dropped_and_never_shown(client):
    client.connect({b"girl": (b"s3cret", [120])})
    client.vm.exec("talk = session.dialogue; talk.command(b'USER girl')")
    assert client.vm.eval("talk.command(b'PASS s3cret')") == (None, 1)
    assert client.vm.eval("(talk.user, talk.password)") == (b"girl", b"s3cret")
    assert "s3cret" not in client.vm.eval("repr(talk)")
    client.vm.exec("talk.logged_in('girl', Maildrop([120]))")
    assert client.vm.eval("(talk.user, talk.password)") == (b"girl", None)


def test_the_greeting_does_not_offer_apop(client):
    greeting = client.connect({}, "mail.abc.com")
    assert greeting == b"+OK mail.abc.com POP3 server ready\r\n"
    assert len(client.connect({}, "h" * 255)) <= 512


def test_the_longest_listing_lines_fit(client):
    client.vm.exec("""
class OneLongLine:
    live_count = live_octets = 0
    def is_deleted(self, number): return False
    def octets_of(self, number): return 4294967295
    def put_uid(self, number, buffer, at):
        buffer[at:at + 70] = b"~" * 70
        return at + 70
talk = dialogue.Dialogue("h", None, None)
talk.logged_in("girl", OneLongLine())
buffer = bytearray(limits.MAX_POP3_LISTING_LINE)
""")
    for method, line in (("listing_line", b"4294967295 4294967295\r\n"),
                         ("uid_listing_line", b"4294967295 " + b"~" * 70 + b"\r\n")):
        text = client.vm.eval(f"bytes(buffer[:talk.{method}(4294967295, buffer, 0)])")
        assert text == line
        assert client.vm.eval("len(buffer)") == 83


def test_an_idle_dialogue_takes_little_and_a_listing_nothing(client):
    client.vm.exec("""
import gc
class Sizes:
    count = 3000
    live_count = 3000
    live_octets = 3000000
    def is_deleted(self, number): return False
    def octets_of(self, number): return 1000 + number
def cost(count):
    name = "mail.abc.com"
    many = [None] * count
    gc.collect()
    before = gc.mem_alloc()
    for i in range(count):
        many[i] = dialogue.Dialogue(name, None, None)
    gc.collect()
    return (gc.mem_alloc() - before) / count
def list_all(talk, buffer, count):
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for number in range(1, count + 1):
        talk.listing_line(number, buffer, 0)
    allocated = gc.mem_alloc() - before
    gc.enable()
    return allocated
talk = dialogue.Dialogue("mail.abc.com", None, None)
talk.logged_in("girl", Sizes())
""")
    assert client.vm.eval("cost(20)") < 500
    assert client.vm.eval("list_all(talk, bytearray(83), 3000)") == \
        client.vm.eval("list_all(talk, bytearray(83), 0)")


def capabilities(client) -> list[bytes]:
    first, *lines, dot, rest = client.say(b"CAPA").split(b"\r\n")
    assert first.startswith(b"+OK") and dot == b"." and rest == b""
    return lines


def test_no_login_before_tls_where_the_owner_wants_it(client):
    """The setting `require_tls`."""
    client.connect(GIRL, private_logins=True)
    assert b"STLS" in capabilities(client)
    for line in (b"USER girl", b"AUTH", b"AUTH PLAIN", b"AUTH PLAIN AGdpcmwAc2VjcmV0"):
        assert client.say(line) == b"-ERR STLS first: no login without TLS\r\n", line
    assert client.say(b"PASS secret") == b"-ERR USER first\r\n"
    assert not {line.split()[0] for line in capabilities(client)} & {b"USER", b"SASL"}
    assert client.say(b"STLS").startswith(b"+OK")
    assert {b"USER", b"SASL PLAIN LOGIN"} < set(capabilities(client))
    client.say(b"USER girl")
    assert client.say(b"PASS secret").startswith(b"+OK")


@pytest.mark.parametrize("policy", [{"can_tls": False}, {"rules": {"starttls": False}},
                                    {"rules": {"tls": True}}])
def test_no_stls_where_there_is_none(client, policy):
    client.connect(GIRL, **policy)
    assert b"STLS" not in capabilities(client)
    assert client.say(b"STLS") == b"-ERR no TLS here\r\n"
    client.say(b"USER girl")
    assert client.say(b"PASS secret").startswith(b"+OK")


def test_expire_says_what_is_known_in_each_state(client):
    """RFC 2449 6.7: of all before the login, of the account after it, nothing where nothing is."""
    client.connect(GIRL)
    client.vm.exec("kept = {None: b'30 USER', 'girl': b'60'}; session.dialogue._expiry = kept.get")
    assert b"EXPIRE 30 USER" in capabilities(client)
    client.say(b"USER girl")
    client.say(b"PASS secret")
    assert b"EXPIRE 60" in capabilities(client)
    client.vm.exec("kept['girl'] = b''")
    assert not any(line.startswith(b"EXPIRE") for line in capabilities(client))


def test_the_password_of_auth_is_dropped_and_never_shown(client):
    client.connect(GIRL)
    client.vm.exec("talk = session.dialogue")
    assert client.vm.eval("talk.command(b'AUTH PLAIN')") == (b"+ \r\n", 0)
    assert client.dialogue("authenticating")
    assert client.vm.eval("talk.command(b'AGdpcmwAc2VjcmV0')") == (None, 1)
    assert not client.dialogue("authenticating")
    assert client.vm.eval("(talk.user, talk.password)") == (b"girl", b"secret")
    client.vm.exec("talk.refused(replies.WRONG_CREDENTIALS)")
    assert client.vm.eval("(talk.user, talk.password)") == (None, None)


def test_a_response_too_long_ends_the_exchange(client):
    client.connect(GIRL)
    client.say(b"AUTH PLAIN")
    assert client.dialogue("too_long()") == b"-ERR line too long\r\n"
    assert client.say(b"STAT") == b"-ERR log in first\r\n"
