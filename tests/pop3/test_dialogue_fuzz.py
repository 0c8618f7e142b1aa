"""Random lines never raise, every reply is well-formed, and the marks agree with a model."""

from hypothesis import given, settings
from hypothesis import strategies as st

GREATEST_REPLY = 512  # RFC 1939 3: a reply's first line with its CRLF; RFC 2449 4
GREATEST_LINE = 253  # RFC 2449 4: 255 with CRLF
PASSWORD = b"s3cret pass"
SIZES = [120, 200, 60, 1000]

verbs = st.sampled_from([b"USER", b"PASS", b"STAT", b"LIST", b"UIDL", b"RETR", b"TOP", b"DELE",
                         b"RSET", b"NOOP", b"QUIT", b"CAPA", b"APOP", b"user", b"Pass", b"dele"])
octets = st.binary(max_size=GREATEST_LINE).map(
    lambda line: line.replace(b"\r", b"").replace(b"\n", b""))
arguments = st.one_of(
    st.integers(-3, 6).map(lambda number: b"%d" % number), octets,
    st.sampled_from([b"girl", PASSWORD, b"007", b"99999999999", b" ", b"", b"1e3", b"1\t2"]))
commands = st.builds(lambda verb, words: b" ".join([verb, *words])[:GREATEST_LINE],
                     verbs, st.lists(arguments, max_size=3))
lines = st.one_of(octets, commands, commands, st.just(b"USER girl"), st.just(b"PASS " + PASSWORD))


def check(reply):
    first = reply.split(b"\r\n", 1)[0]
    assert first == b"+OK" or first.startswith((b"+OK ", b"-ERR ")), reply
    assert len(first) + 2 <= GREATEST_REPLY
    assert reply.endswith(b"\r\n")
    assert b"\r" not in reply.replace(b"\r\n", b"") and b"\n" not in reply.replace(b"\r\n", b"")
    assert reply.count(b"\r\n") == 1 or reply.endswith(b"\r\n.\r\n"), reply
    assert PASSWORD not in reply


@settings(max_examples=200, deadline=None)
@given(st.booleans(), st.lists(lines, min_size=1, max_size=12))
def test_any_lines(client, logged_in, lines):
    client.connect({b"girl": (PASSWORD, SIZES)})
    if logged_in:
        client.say_all([b"USER girl", b"PASS " + PASSWORD])
    for reply in client.say_all(lines):
        if reply:  # the session is closed after QUIT
            check(reply)
    errors, failures = client.dialogue("errors"), client.dialogue("failures")
    assert failures <= errors <= len(lines)


steps = st.lists(st.one_of(
    st.tuples(st.just(b"DELE"), st.integers(0, len(SIZES) + 1)), st.just((b"RSET", 0))),
    max_size=12)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_marks_agree_with_a_model(client, steps):
    client.log_in(SIZES)
    live = dict(enumerate(SIZES, 1))
    for verb, number in steps:
        if verb == b"RSET":
            live = dict(enumerate(SIZES, 1))
            reply = client.say(verb)
            allowed = True
        else:
            allowed = live.pop(number, None) is not None
            reply = client.say(b"DELE %d" % number)
        assert reply.startswith(b"+OK" if allowed else b"-ERR")
    stat, listing, uids, *singles = client.say_all(
        [b"STAT", b"LIST", b"UIDL"] + [b"LIST %d" % number for number in range(1, 5)])
    assert stat == b"+OK %d %d\r\n" % (len(live), sum(live.values()))
    assert listing.split(b"\r\n")[1:-2] == [b"%d %d" % item for item in live.items()]
    assert uids.split(b"\r\n")[1:-2] == [b"%d uid-%d" % (number, number) for number in live]
    for number, single in enumerate(singles, 1):
        assert single.startswith(b"+OK %d %d\r\n" % (number, SIZES[number - 1])
                                 if number in live else b"-ERR")
