"""smtp.paths inside the VM against paths built from RFC 5321's grammar, whose parts are known."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vm import Vm

STUB = '''
from picopost import limits
from picopost.smtp import paths, replies

def parse(argument, forward=False):
    try:
        return paths.parse(argument, paths.FORWARD if forward else paths.REVERSE)
    except paths.PathError as error:
        return error.args[0]
'''
ATEXT = string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~"
LET_DIG = string.ascii_letters + string.digits


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec(STUB)
        yield machine


def quoted(octets):
    """A quoted string from [(octet, escaped?)]: (what it means, as it is sent)."""
    plain = "".join(octet for octet, _ in octets)
    sent = "".join("\\" + octet if escaped or octet in '"\\' else octet
                   for octet, escaped in octets)
    return plain, f'"{sent}"'


# RFC 6531 3.3: the same, and all of UTF-8 but what controls a terminal.
utf8 = st.characters(min_codepoint=0xA0, exclude_categories=("Cs",))
atom = st.text(st.one_of(st.sampled_from(ATEXT), utf8), min_size=1, max_size=12)
dot_string = st.lists(atom, min_size=1, max_size=4).map(".".join).map(lambda text: (text, text))
printable = st.one_of(st.characters(min_codepoint=0x20, max_codepoint=0x7E), utf8)
quoted_string = st.lists(st.tuples(printable, st.booleans()), max_size=25).map(quoted)
label = st.builds(lambda start, middle, end: start + middle + end, st.sampled_from(LET_DIG),
                  st.text(LET_DIG + "-_éß例", max_size=15), st.sampled_from(LET_DIG))
domain_name = st.lists(label, min_size=1, max_size=5).map(".".join)
address_literal = st.one_of(
    st.ip_addresses(v=4).map(lambda address: f"[{address}]"),
    st.ip_addresses(v=6).map(lambda address: f"[IPv6:{address}]"),
    st.ip_addresses(v=6).map(lambda address: f"[ipv6:{address.exploded.upper()}]"))
domain = st.one_of(domain_name, address_literal, st.just(""))
white = st.text(" \t", max_size=2)
keyword = st.builds(str.__add__, st.sampled_from(LET_DIG), st.text(LET_DIG + "-", max_size=8))
value = st.text([chr(octet) for octet in range(33, 127) if octet != 0x3D], min_size=1, max_size=20)
parameter = st.tuples(keyword, st.one_of(st.none(), value))


@st.composite
def arguments(draw):
    """(forward?, argument, (path, local part, domain, parameters) to get)."""
    forward = draw(st.booleans())
    plain, local = draw(st.one_of(dot_string, quoted_string))
    host = draw(domain)
    path = f"{local}@{host}" if host else local
    if draw(st.booleans()):
        route = draw(st.lists(domain_name.map("@".__add__), max_size=3))
        sent = "<" + (",".join(route) + ":" if route else "") + path + ">"
    else:
        sent = path
    parameters = draw(st.lists(parameter, max_size=8, unique_by=lambda pair: pair[0].upper()))
    name = draw(st.sampled_from(["TO", "to", "To"] if forward else ["FROM", "from", "From"]))
    argument = name + draw(white) + draw(st.sampled_from(":;")) + draw(white) + sent
    for key, what in parameters:
        argument += draw(st.sampled_from([" ", "\t", "  "])) + key
        argument += "" if what is None else "=" + what
    got = (path.encode(), plain.encode(), host.encode().lower(),
           [(key.upper().encode(), what and what.encode()) for key, what in parameters])
    return forward, (argument + draw(white)).encode(), got


@settings(max_examples=60, deadline=None)
@given(cases=st.lists(arguments(), min_size=1, max_size=12))
def test_well_formed_arguments_are_taken_apart(vm, cases):
    asked = [(argument, forward) for forward, argument, _ in cases]
    answers = vm.eval(f"[parse(*case) for case in {asked!r}]")
    for (_, argument, wanted), got in zip(cases, answers, strict=True):
        if len(local_part_as_sent(wanted[0])) > 64 or len(wanted[0]) > 254:
            assert got == b"501 5.5.4 Path too long", argument
        else:
            assert got == wanted, argument


def local_part_as_sent(path: bytes) -> bytes:
    """Everything before the at sign that is not inside a quoted string."""
    return path[:path.rfind(b'"') + 1] if path.startswith(b'"') else path.partition(b"@")[0]


FRAGMENTS = st.sampled_from([
    b"<", b">", b"@", b":", b",", b'"', b"\\", b".", b" ", b"[", b"]", b"=", b"a", b"b.c",
    b"\xc3\xa9", b"\xe9", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\xc2\x80", b"\xf0\x9f\x93\xa7", b"\x00", b"\x7f", b"\r", b"\n", b"\t", b"1.2.3.4",
    b"IPv6:::1", b"(", b")",
    b"SIZE=1", b"x" * 70])


@settings(max_examples=200, deadline=None)
@given(cases=st.lists(st.tuples(
    st.builds(lambda name, rest: name + b"".join(rest),
              st.sampled_from([b"FROM:", b"TO:", b"FROM:<", b"TO:<", b""]),
              st.lists(FRAGMENTS, max_size=9)), st.booleans()), min_size=1, max_size=20))
def test_anything_else_is_refused_with_a_reply_or_is_safe(vm, cases):
    answers = vm.eval(f"[parse(*case) for case in {cases!r}]")
    for (argument, forward), got in zip(cases, answers, strict=True):
        if isinstance(got, bytes):
            assert got[:9] in {b"501 5.5.4",
                               b"501 5.1.3" if forward else b"501 5.1.7"}, argument
            continue
        path, local_part, host, parameters = got
        # What is kept goes into header lines and to the directory: one printable line.
        assert len(path) <= 254 and path.decode().isprintable(), argument
        assert path or not forward, argument
        assert path in argument and len(local_part) <= 64
        assert not {octet for octet in host if octet < 0x80} - set((LET_DIG + "-_.:[]").encode())
        for key, what in parameters:
            assert key and b" " not in key and what != b""


@pytest.mark.parametrize("path, taken", [
    (b"a" * 64 + b"@xyz.com", True),
    (b"a" * 65 + b"@xyz.com", False),
    (b'"' + b"a" * 62 + b'"@xyz.com', True),
    (b'"' + b"a" * 63 + b'"@xyz.com', False),
    (b"a@" + b"b" * 252, True),  # 256 with the brackets (4.5.3.1.3)
    (b"a@" + b"b" * 253, False),
])
def test_limits_of_length(vm, path, taken):
    for argument in (b"FROM:<" + path + b">", b"FROM:" + path, b"FROM:<@x.com:" + path + b">"):
        got = vm.eval(f"parse({argument!r})")
        if taken:
            assert got[:2] == (path, path.partition(b"@")[0].strip(b'"')), argument
        else:
            assert got.startswith(b"501 5.5.4 "), argument


def test_null_path_is_for_mail_only(vm):
    assert vm.eval("parse(b'FROM:<> SIZE=1')") == (b"", b"", b"", [(b"SIZE", b"1")])
    assert vm.eval("parse(b'TO:<>', True)").startswith(b"501 5.1.3 ")


def test_a_line_made_to_take_long_is_refused(vm):
    # As much as one command line holds, of what the grammar repeats.
    bound = vm.eval("limits.MAX_COMMAND_LINE")
    for head, repeated in ((b"FROM:<", b"@a,"), (b"FROM:<a@", b"b."), (b'FROM:<"', b"\\a"),
                           (b"FROM:<a> ", b"A "), (b"FROM:", b" "), (b"FROM:<a@[", b"1.")):
        line = (head + repeated * bound)[:bound]
        assert vm.eval(f"parse({line!r})").startswith(b"501 "), head


@pytest.mark.parametrize("parameters", [
    b"A=", b"=1", b"=", b"A=1=2", b"A==1", b"-A", b"A_B", b"A=1 B=", b"A=\x01", b"A=\x7f",
    b"A=\xe9", b"A=\xc2\x85", b"\xc3\xa9=1"])
def test_bad_parameters_are_refused(vm, parameters):
    for path in (b"FROM:<a@b> ", b"FROM:a@b ", b"FROM:<> "):
        argument = path + parameters
        assert vm.eval(f"parse({argument!r})") == b"501 5.5.4 Bad parameter syntax or value"


@pytest.mark.parametrize("host, taken", [
    (b"[0.0.0.0]", True), (b"[255.255.255.255]", True), (b"[001.2.3.4]", True),
    (b"[0001.2.3.4]", False), (b"[1.2.3.4.5]", False), (b"[1.2.3.]", False),
    (b"[+1.2.3.4]", False), (b"[]", False), (b"[", False), (b"[1.2.3.4", False),
    (b"[1.2.3.4]x", False), (b"[IPv6:::]", True), (b"[IPv6:::ffff:1.2.3.4]", True),
    (b"[IPv6:]", False), (b"[IPv5:::]", False), (b"1.2.3.4", True)])
def test_address_literals(vm, host, taken):
    # A bracket inside the quotes has nothing to do with the literal.
    for local in (b"a", b'"]["'):
        argument = b"FROM:<" + local + b"@" + host + b">"
        got = vm.eval(f"parse({argument!r})")
        assert got[2] == host.lower() if taken else got[:9] == b"501 5.1.7", argument
