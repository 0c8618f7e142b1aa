"""Lines of an SMTP client, good and bad, as hypothesis draws them: mostly what leads on from where
the model stands, so that odd lines are heard in every state.
"""

from __future__ import annotations

import base64

from hypothesis import strategies as st

from tests.fuzz.model import CHUNKS, CONNECTED, HTTP, MAIL, MAX_LINE, READY, Model

# What a dialogue is likely to be about; the account's password, too.
PASSWORD = b"pw"
VERBS = (b"RSET", b"NOOP", b"EHLO abc.com", b"HELO abc.com", b"QUIT", b"DATA", b"VRFY girl",
         b"VRFY",
         b"EXPN list", b"HELP", b"STARTTLS", b"RCPT", b"MAIL", b"EHLO", b"HELO", b"STARTTLS now",
         b"DATA now", b"RSET now", b"BDAT", b"BDAT 5 LAST x", b"BDAT x", b"BDAT 1234567890",
         b"bdat 00 last", b"NOOP " + b"x" * 300, b"EHLO a) by (b <c@d>", b"EHLO " + b"x" * 300,
         b"QUIT now", b"HELP me", b"EHLO [IPv6:fe80::1]", b"EHLO \xc3\xa4\x00")
_LOCALS = (b"boy", b"girl", b"dog", b"Girl", b"brim", b"all", b"u1", b"u2", b"u3", b"nobody",
           b"postmaster", b'"girl"', b'"g\\irl"', b'"a b"', b'"a\\"b"', b"a.b", b".a", b"a.",
           b"a..b",
           b"\xc3\xa4", b"\xff", b"\xc2\x85", b"\xed\xa0\x80", b"girl+tag", b"x" * 63, b"x" * 64,
           b"x" * 65, b"", b'""', b'"', b"a b", b"(a)", b"a\x00b", b"/etc", b"..")
_DOMAINS = (b"@xyz.com", b"@abc.com", b"", b"@XYZ.com", b"@xyz.com.local", b"@[192.168.1.1]",
            b"@[192.168.1.256]", b"@[IPv6:fe80::1]", b"@[IPv6:g]", b"@[", b"@", b"@a..b", b"@-",
            b"@\xc3\xa4.com", b"@\xf4\x90\x80\x80", b"@" + b"y" * 180, b"@a b",
            b"@" + b"y." * 95 + b"y",
            b"@xyz.com.")
_MAIL_PARAMETERS = (
    b"SIZE=100", b"SIZE=0", b"SIZE=99999999", b"SIZE=" + b"9" * 20, b"SIZE=" + b"9" * 21, b"SIZE=x",
    b"SIZE", b"BODY=8BITMIME", b"body=7bit", b"BODY=BINARYMIME", b"BODY", b"SMTPUTF8",
    b"SMTPUTF8=1",
    b"RET=FULL", b"RET=hdrs", b"RET=x", b"ENVID=abc+2B", b"ENVID=+00", b"ENVID=" + b"e" * 100,
    b"ENVID=" + b"e" * 101, b"ENVID=+2b", b"AUTH=<>", b"AUTH=e+3Dmc2@example.com", b"AUTH=+",
    b"X=1",
    b"=", b"-a=b", b"NOTIFY=NEVER", b"\xc3\xa4=1", b"SIZE=1=2", b"A" * 600)
_RCPT_PARAMETERS = (
    b"NOTIFY=SUCCESS", b"NOTIFY=NEVER", b"notify=failure,delay", b"NOTIFY=NEVER,SUCCESS",
    b"NOTIFY=",
    b"NOTIFY", b"ORCPT=rfc822;a@b.c", b"ORCPT=rfc822;" + b"o" * 480, b"ORCPT=rfc822;" + b"o" * 501,
    b"ORCPT=;a", b"ORCPT=rfc822", b"ORCPT=rfc822;+0A", b"SIZE=1", b"ORCPT=utf-8;" + b"+41" * 90,
    "ORCPT=utf-8;é@例え.com".encode(), b"ORCPT=utf-8;\xe9@b.c", "ORCPT=rfc822;é@b.c".encode())
_BEHIND = (b":<", b":", b": <", b" : <", b";<", b" <", b":<@a.b,@c:", b":<<", b":\t<", b":<@")
_MANY = 120  # repetitions that reach the limits of recipients and of junk

_FRAGMENTS = st.sampled_from([
    b"HELO", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"mail", b" FROM:", b" TO:", b" : ", b";", b"<",
    b">",
    b"@", b"girl", b"xyz.com", b"boy@abc.com", b"<>", b'"', b"\\", b"[", b"]", b"[192.168.1.1]",
    b"IPv6:", b" SIZE=", b"12", b" BODY=", b"8BITMIME", b"=", b",", b".", b" ", b"\t", b"\r",
    b"\x00",
    b"\xe9", b"+", b"AUTH ", b"PLAIN ", b"BDAT ", b"LAST", b"*", b"x" * 60, b"1" * 300])


def _plain(*parts: bytes) -> bytes:
    return base64.b64encode(b"\0".join(parts))


_RESPONSES = (
    _plain(b"", b"girl", PASSWORD), base64.b64encode(b"girl"), base64.b64encode(PASSWORD), b"*",
    b"",
    b"=", _plain(b"", b"girl", b"wrong"), _plain(b"girl", b"girl", PASSWORD),
    _plain(b"boss", b"girl", PASSWORD), _plain(b"", b"Girl@xyz.com", PASSWORD),
    _plain(b"", b"girl@abc.com", PASSWORD), _plain(b"girl", PASSWORD), _plain(b"", b"", b""),
    b"A===",
    b"====", b"AAA", b"!", b"QUIT", b" * ", b"AA=A", b"AAAA====", base64.b64encode(b"u" * 128),
    base64.b64encode(b"u" * 129), base64.b64encode(b"p" * 500), _plain(b"", b"\xff\x00", b"x"))
RESPONSES = st.sampled_from(_RESPONSES)

_GOOD_MAIL = st.sampled_from([b"MAIL FROM:<boy@abc.com>", b"MAIL FROM:<girl@xyz.com>",
                              b"MAIL FROM:<>",
                              b"MAIL FROM:<boy@abc.com> SIZE=100 BODY=8BITMIME",
                              b"MAIL FROM:<dog@xyz.com> SMTPUTF8 RET=HDRS ENVID=e"])
_GOOD_RCPT = st.sampled_from([b"RCPT TO:<girl@xyz.com>", b"RCPT TO:<dog>", b"RCPT TO:<u1@xyz.com>",
                              b"RCPT TO:<all@xyz.com>", b"RCPT TO:<rest>", b"RCPT TO:<u8>",
                              b"RCPT TO:<Girl@xyz.com> NOTIFY=SUCCESS",
                              b"RCPT TO:<dog@xyz.com> ORCPT=rfc822;x@y.z"])
_PATHS = st.tuples(st.sampled_from(_BEHIND), st.sampled_from(_LOCALS), st.sampled_from(_DOMAINS),
                   st.sampled_from((b">", b"", b" >", b">>", b"> ", b">\t")))
_MAIL_GIVEN = st.lists(st.sampled_from(_MAIL_PARAMETERS), max_size=3)
_RCPT_GIVEN = st.lists(st.sampled_from(_RCPT_PARAMETERS), max_size=2)
_VERB = st.sampled_from(VERBS)
_HTTP = st.sampled_from([verb + b" / HTTP/1.1" for verb in HTTP])
_WORDS = st.lists(_FRAGMENTS, max_size=8).map(b"".join)
_OCTETS = st.binary(max_size=60)
_NUMBER = st.integers(0, 90)
_OCTET = st.integers(0, 255)
_LONG = st.sampled_from(range(MAX_LINE - 5, MAX_LINE + 3))
_LONG_HEAD = st.sampled_from([b"NOOP ", b"NOOP ", b"", b"MAIL FROM:<a@b> ", b"AUTH PLAIN ",
                              b"EHLO ", b"DATA "])
_CHUNK = st.sampled_from([b"BDAT 20 LAST", b"BDAT 20", b"BDAT 0", b"BDAT 0 LAST", b"bdat 7  last",
                          b"BDAT 1", b"BDAT 000000300"])
_AFTER_CHUNK = st.one_of(_CHUNK, _CHUNK, st.sampled_from([b"RSET", b"EHLO abc.com"]))
_MECHANISM = st.sampled_from([b"PLAIN", b"LOGIN", b"plain", b"CRAM-MD5", b"", b"LOGIN x y"])
_MUTATION = st.sampled_from(["case", "cut", "double", "replace", "insert", "delete", "tab",
"spaces",
                             "append"])
_KINDS = st.sampled_from(
    ["next"] * 12 + ["mail"] * 3 + ["rcpt"] * 4 + ["verb"] * 4 + ["mutated"] * 4 + ["auth"] * 2
    + ["chunk", "words", "octets", "long", "response", "starttls"])
_RARE = st.integers(0, 99)


def draw_line(draw, model: Model) -> tuple[bytes, int]:
    """(a line without its end, how many times it is sent)."""
    kind = draw(_KINDS)
    if kind == "mutated":
        return _mutated(draw, _line(draw, model, draw(st.sampled_from(["next", "mail",
        "verb"])))), 1
    line = _line(draw, model, kind)
    if kind == "next" and not model.exchange and draw(_RARE) == 99:
        return draw(st.sampled_from([b"NOOP", b"RCPT TO:<girl@xyz.com>", b"HELP", line])), _MANY
    return line, 1


def _line(draw, model: Model, kind: str) -> bytes:
    if kind == "next":
        return _next(draw, model)
    if kind == "verb":
        verb = draw(_VERB)
        # Half of a hundred dialogues would end with it after 40 lines.
        return draw(_HTTP) if verb == b"QUIT now" else verb
    if kind in ("mail", "rcpt"):
        behind, local, domain, end = draw(_PATHS)
        given = draw(_MAIL_GIVEN if kind == "mail" else _RCPT_GIVEN)
        head = b"MAIL FROM" if kind == "mail" else b"RCPT TO"
        return b" ".join([head + behind + local + domain + end, *given])
    if kind == "auth":
        response = draw(RESPONSES) if draw(st.booleans()) else b""
        return b"AUTH " + draw(_MECHANISM) + b" " + response
    if kind == "long":
        head, length = draw(_LONG_HEAD), draw(_LONG)
        return head + b"x" * (length - len(head))
    return draw({"chunk": _CHUNK, "words": _WORDS, "octets": _OCTETS, "response": RESPONSES,
                 "starttls": st.just(b"STARTTLS")}[kind])


def _next(draw, model: Model) -> bytes:
    rules = model.rules
    if model.exchange:
        return draw(RESPONSES)
    if model.state == CONNECTED:
        return draw(st.sampled_from([b"EHLO abc.com", b"HELO abc.com"]))
    if model.state == READY:
        if rules.require_tls and not model.tls and rules.starttls:
            return b"STARTTLS"
        if rules.require_auth and model.account is None and rules.auth:
            return b"AUTH PLAIN " + _RESPONSES[0]
        return draw(_GOOD_MAIL)
    if model.state == MAIL:
        return draw(_GOOD_RCPT)
    if model.state == CHUNKS:
        return draw(_AFTER_CHUNK)
    which = draw(st.integers(0, 4))
    return draw(_GOOD_RCPT if which < 2 else _CHUNK) if which != 4 else b"DATA"


def _mutated(draw, line: bytes) -> bytes:
    how = draw(_MUTATION)
    at = draw(_NUMBER) % (len(line) + 1)
    if how == "case":
        return line[:at] + line[at:].swapcase()
    if how == "cut":
        return line[:at]
    if how == "double":
        return line + line
    if how == "tab":
        return line.replace(b" ", b"\t")
    if how == "spaces":
        return b" " + line.replace(b" ", b"   ") + b" \t"
    if how == "append":
        return line + draw(_OCTETS)
    octet = b"" if how == "delete" else bytes((draw(_OCTET),))
    return line[:at] + octet + line[at + (how != "insert"):]
