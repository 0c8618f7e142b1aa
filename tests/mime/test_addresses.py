"""Addresses against CPython's email, under CPython and in the VM."""

import email.headerregistry
import email.utils

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401  makes picopost importable

from picopost import limits  # isort: skip
from picopost.mime import addresses, idn  # isort: skip

CASES = [
    (b"", []), (b"a@b.c", [("", "a@b.c")]), (b"<a@b.c>", [("", "a@b.c")]), (b"<>", [("", "")]),
    # RFC 5322 A.1.2, A.1.3, A.5, A.6.1, A.6.3
    (b'"Joe Q. Public" <john.q.public@example.com>',
     [("Joe Q. Public", "john.q.public@example.com")]),
    (b'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>',
     [("Mary Smith", "mary@x.test"), ("", "jdoe@example.org"), ("Who?", "one@y.test")]),
    (b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
     [("", "boss@nil.test"), ('Giant; "Big" Box', "sysservices@example.net")]),
    (b"A Group:Ed Jones <joe@a.test>,joe@where.test,John <jdoe@one.test>;",
     [("Ed Jones", "joe@a.test"), ("", "joe@where.test"), ("John", "jdoe@one.test")]),
    (b"Undisclosed recipients:;", []), (b"G:a@b;, H: c@d;", [("", "a@b"), ("", "c@d")]),
    (b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
     [("Pete", "pete@silly.test")]),
    (b"Joe Q. Public <john.q.public@example.com>",
     [("Joe Q. Public", "john.q.public@example.com")]),
    (b"Mary Smith <@node.test,@b.test:mary@example.net>", [("Mary Smith", "mary@example.net")]),
    (b"john . q . public @ example . com", [("", "john.q.public@example.com")]),
    # A comment as the name; a local-part with blanks; IPv6; IDN.
    (b"printer@lan (Hall (2nd floor))", [("Hall (2nd floor)", "printer@lan")]),
    (b'"a b"@c.d', [("", '"a b"@c.d')]), (b'X <"a \\"b"@c.d>', [("X", '"a \\"b"@c.d')]),
    (b'"a\\"b\\\\"@c.d', [("", '"a\\"b\\\\"@c.d')]), (b'"a@b" . x @c.d', [("", '"a@b".x@c.d')]),
    (b"a@[IPv6:::1]", [("", "a@[IPv6:::1]")]), (b"X <a@[IPv6:::1]>", [("X", "a@[IPv6:::1]")]),
    (b"a@xn--bcher-kva.example", [("", "a@bücher.example")]),
    (b"a@xn--99999999", [("", "a@xn--99999999")]),
    # What devices write.
    (b'"Printer" printer@lan', [("Printer", "printer@lan")]), (b"root", [("", "root")]),
    (b"a@b a2", [("a2", "a@b")]), (b"Name only", [("Name only", "")]),
    (b"Name <a@b", [("Name", "a@b")]), (b"=?utf-8?q?Z=C3=A4hler?= <a@b>", [("Zähler", "a@b")]),
    ("Zähler <a@b>".encode(), [("Zähler", "a@b")]),
    (b'"=?utf-8?q?Z=C3=A4hler?=" <a@b>', [("Zähler", "a@b")]), (b",,a@b;;,", [("", "a@b")]),
    (b"a@b; c@d", [("", "a@b"), ("", "c@d")]), (b"(only)", [("only", "")]), (b'"', []),
    (b"\\", [("", "\\")]), (b'"a@b"', [("", "a@b")]), (b'"root"', [("root", "")]),
    (b'"Dr." a@b', [("Dr.", "a@b")]), (b'"Hall"a@b', [("Hall", "a@b")]),
    (b"A\0\1\2\3\4\5\6\7\x08B <a\2@b>", [("AB", "a@b")]),
    (b'X <"a b\t@"@c.d>', [("X", '"a b @"@c.d')]),
    # A comma is missing.
    (b"a@b c@d", [("", "a@b"), ("", "c@d")]), (b"<a@b><c@d>", [("", "a@b"), ("", "c@d")]),
    (b"A a@b B c@d D", [("A", "a@b"), ("B D", "c@d")]),
    (b"A <a@b> B <c@d>", [("A", "a@b"), ("B", "c@d")]),
    (b"<a@b> (A) <c@d> (B)", [("A", "a@b"), ("B", "c@d")]),
    (b"<a@b> c@d", [("", "a@b"), ("", "c@d")]), (b"<a@b> A", [("A", "a@b")]),
    (b"a@b <c@d>", [("a@b", "c@d")]), (b'"a@b" c@d', [("a@b", "c@d")]),
    (b'"a@b" <c@d> "e@f"', [("a@b e@f", "c@d")]), (b"<a@b <c@d>>", [("", "c@d")]),
    (b"<a@b>: A <c@d>:", [("", "a@b"), ("A", "c@d")]),
    (b"a@b c@d (A)", [("A", "a@b"), ("", "c@d")]),
    # A quotation mark is.
    (b'"A <a@b>', [("A", "a@b")]), (b'A" <a@b>', [("A", "a@b")]), (b'"<a@b>"', [("", "a@b")]),
    # A colon that begins no group.
    (b"Re: Hall <a@b>, c@d", [("Re: Hall", "a@b"), ("", "c@d")]),
    (b"Re: Fwd: Hall <a@b>", [("Re: Fwd: Hall", "a@b")]), (b"mailto:a@b", [("mailto:", "a@b")]),
    (b"A: a@b, B: c@d, e@f", [("A:", "a@b"), ("B:", "c@d"), ("", "e@f")]),
    (b"A: a@b; B: c@d, e@f", [("", "a@b"), ("B:", "c@d"), ("", "e@f")]),
    (b'Re: "x;y" <a@b> (;)', [("Re: x;y", "a@b")]), (b'"Re: Hall" <a@b>', [("Re: Hall", "a@b")]),
    (b"=?utf-8?q?Z=C3=A4?=: H <a@b>", [("Z\xe4: H", "a@b")]), (b": a@b", [("", "a@b")]),
    (b"undisclosed-recipients:", []), (b"A:, a@b;", [("", "a@b")]), (b"A: B: a@b;", [("", "a@b")]),
    # Several comments; RFC 6532.
    (b"a@b () ( ) (Hall (2)) (other)", [("Hall (2)", "a@b")]),
    (b"(one) a@b (two)", [("one", "a@b")]), (b"(one) A <a@b> (two)", [("A", "a@b")]),
    ("Z\xe4hler <z\xe4hler@b\xfccher.example>".encode(),
     [("Z\xe4hler", "z\xe4hler@b\xfccher.example")]),
]


@pytest.mark.parametrize("value, listed", CASES)
def test_cases(vm, value, listed):
    assert addresses.parse(value) == listed
    assert vm.eval(f"addresses.parse({value!r})") == listed


def test_they_are_bounded(vm):
    assert len(addresses.parse(b"a@b," * 1000)) == 64
    assert vm.eval("len(addresses.parse(b'a@b,' * 1000))") == 64
    assert len(addresses.parse(b"a@b " * 1000)) == len(addresses.parse(b"<a@b>" * 1000)) == 64
    assert addresses.parse(b"(" * 100_000 + b"a@b") == [("(" * (limits.MIME_VALUE - 1), "")]


def test_what_is_cut_in_two_is_not_told():
    longest = b"a@b," + b" " * (limits.MIME_VALUE - 9) + b"c@d"
    assert addresses.parse(longest) == [("", "a@b"), ("", "c@d")]
    assert addresses.parse(longest + b".e") == [("", "a@b")]
    assert addresses.parse(longest + b".e" * 1000) == [("", "a@b")]
    assert addresses.parse(b"a" * 2000) == [("", "a" * limits.MIME_VALUE)]


NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(
    lambda text: " ".join(text.split()))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from(["a@b.c", "x.y+z@example.com"])), min_size=1,
                max_size=4))
def test_what_cpython_writes_is_read(vm, pairs):
    pairs = [(name, address) for name, address in pairs if "=?" not in name]
    value = ", ".join(email.utils.formataddr(pair) for pair in pairs).encode()
    assert addresses.parse(value) == pairs
    assert vm.eval(f"addresses.parse({value!r})") == pairs


ATOM = st.text("abzAZ019-+_!#", min_size=1, max_size=6)
DOMAIN = st.lists(st.text("abz019", min_size=1, max_size=6), min_size=1, max_size=3).map(".".join)
QUOTED = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
ADDRESS = st.builds("{}@{}".format, st.one_of(
    ATOM, st.builds("{}.{}".format, ATOM, ATOM), QUOTED), DOMAIN)
BLANK = st.sampled_from(["", " ", "\t"])
MAILBOX = st.one_of(
    ADDRESS, st.builds("<{}>".format, ADDRESS),
    st.builds("{}{}<{}>".format, st.lists(st.one_of(ATOM, QUOTED), min_size=1, max_size=3).map(
        " ".join), BLANK, ADDRESS))
GROUP = st.builds("{}:{}{};".format, ATOM, BLANK, st.lists(MAILBOX, max_size=3).map(", ".join))
COMMENTED = st.builds("{} ({})".format, ADDRESS, st.text("abc 1", min_size=1).filter(str.strip).map(
    lambda text: " ".join(text.split())))


def joined(one):
    return st.builds(lambda ones, blank: ("," + blank).join(ones), st.lists(
        one, min_size=1, max_size=5), BLANK)


@settings(max_examples=300, deadline=None)
@given(joined(st.one_of(MAILBOX, MAILBOX, GROUP, COMMENTED)))
def test_well_formed_lists_are_read_as_cpython_does(vm, value):
    assume("=?" not in value)
    read = addresses.parse(value.encode())
    # It has a nameless address for a group without members.
    assert read == [pair for pair in email.utils.getaddresses([value]) if any(pair)]
    assert vm.eval(f"addresses.parse({value.encode()!r})") == read


@settings(max_examples=300, deadline=None)
@given(joined(st.one_of(MAILBOX, MAILBOX, GROUP)))
def test_well_formed_lists_are_read_as_cpython_s_parser_does(value):
    assume("=?" not in value)
    parsed = email.headerregistry.HeaderRegistry()("To", value).addresses
    # It keeps the quotes of a local-part only where they are needed.
    read = [(name, email.headerregistry.Address(addr_spec=address).addr_spec)
            for name, address in addresses.parse(value.encode())]
    assert read == [(one.display_name, one.addr_spec) for one in parsed]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b'"', b"\\", b"(", b")", b"<", b">", b"@", b":", b";", b",", b" ",
                                 b"a", b".", b"[", b"\xe4", b"=?u?q?a?=", b"xn--a-b",
                                 b"\0", b"\1"]),
                max_size=20).map(b"".join))
def test_nothing_is_raised_and_the_vm_says_the_same(vm, value):
    assert vm.eval(f"addresses.parse({value!r})") == addresses.parse(value)


UNSEEN = [*range(128, 0xB7), *range(0x2000, 0x2070), 0x61C, 0x180E, 0x3000, 0xFEFF, 0xFFF9, 0xFFFF,
          0xE0001, 0x10FFFF]


def coded(label):
    return "xn--" + label.encode("punycode").decode()


def test_what_no_domain_may_have_stays_encoded(vm):
    for label in ["a%cb" % code for code in UNSEEN] + ["abc", "a-b", "", "-"]:
        # Another label is shown all the same.
        domain = coded(label) + "." + coded("\xe4")
        assert idn.shown(domain) == coded(label) + ".\xe4", ascii(label)
        assert vm.eval(f"idn.shown({domain!r})") == idn.shown(domain)


@pytest.mark.parametrize("domain", [
    "xn--\xe4-kva", "xn--a\x01-kva", "xn---kva", "xn--", "xn--a b-kva", "xn--\u202e-kva", "xn--a!",
    "xn--bcher-kv"], ids=ascii)
def test_what_is_no_punycode_stays_as_it_is(vm, domain):
    assert idn.shown(domain) == vm.eval(f"idn.shown({domain!r})") == domain


def test_letters_beside_them_are_shown():
    for code in (0xB7, 0xDF, 0x1FFF, 0x2070, 0x2603, 0x3001, 0xFFEF, 0x1F4EE, 0xDFFEF):
        assert idn.shown(coded("a%cb" % code)) == "a%cb" % code


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(categories=["Ll", "Lo"]), min_size=1, max_size=12))
def test_punycode_of_cpython_is_read(vm, label):
    label = label.lower()
    domain = coded(label)
    assume(len(domain) <= 63)
    if all(ord(letter) < 128 for letter in label) or any(ord(letter) in UNSEEN for letter in label):
        label = domain
    assert idn.shown(f"a.{domain}.b") == f"a.{label}.b"
    assert idn.shown(domain.upper()) == (label if label != domain else domain.upper())
    assert vm.eval(f"idn.shown({domain!r})") == label


@settings(max_examples=200, deadline=None)
@given(st.text("abz019-", max_size=62))
def test_any_label_is_shown(vm, digits):
    domain = "xn--" + digits
    shown = idn.shown(domain)
    assert vm.eval(f"idn.shown({domain!r})") == shown
    try:
        assert shown in (digits.encode().decode("punycode"), domain)
    except UnicodeError:
        assert shown == domain
