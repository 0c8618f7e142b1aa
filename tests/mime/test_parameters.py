"""Parameters against CPython's email, under CPython and in the VM."""

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401  makes picopost importable

from picopost.mime import parameters  # isort: skip

CASES = [
    (b"", ("", {})), (b"Text/Plain", ("text/plain", {})),
    (b'attachment; FileName="a b.pdf"', ("attachment", {"filename": "a b.pdf"})),
    (b"a/b; x = y ;z=\"1;2\\\"3\" (comment; q=r)", ("a/b", {"x": "y", "z": '1;2"3'})),
    # RFC 2231 3 to 4.1
    (b'a/b; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer.tar"',
     ("a/b", {"access-type": "URL", "url": "ftp://cs.utk.edu/pub/moore/bulk-mailer.tar"})),
    (b"a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
     ("a/b", {"title": "This is ***fun***"})),
    (b"a/b; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; "
     b'title*2="isn\'t it!"', ("a/b", {"title": "This is even more ***fun*** isn't it!"})),
    # A character over two pieces; out of order; a gap.
    (b"a; f*1*=%A4; f*0*=utf-8''%C3", ("a", {"f": "ä"})), (b"a; f*0=x; f*2=z", ("a", {"f": "x"})),
    (b"a; f*1=y", ("a", {})),
    # Both forms, and twice the same.
    (b"a; f=plain; f*=utf-8''%C3%A4", ("a", {"f": "ä"})), (b"a; f=1; f=2", ("a", {"f": "1"})),
    # What programs do: encoded words, raw octets.
    (b'a; name="=?utf-8?Q?=C3=A4.pdf?="', ("a", {"name": "ä.pdf"})),
    ("a; name=ä.pdf".encode(), ("a", {"name": "ä.pdf"})),
    ("a; name=ä.pdf".encode("cp1252"), ("a", {"name": "ä.pdf"})),
    # What is none.
    (b"a;;=x; ;y; z=", ("a", {"z": ""})), (b'a; f="open', ("a", {"f": "open"})),
    (b"a; f*=%zz%4", ("a", {"f": "%zz%4"})), (b"a; f*x=1; *0=2", ("a", {})),
    (b"a; f*=x-nothing''%E4b", ("a", {"f": "�b"})), (b"a; (((", ("a", {})),
]


@pytest.mark.parametrize("value, parsed", CASES)
def test_cases(vm, value, parsed):
    assert parameters.parse(value) == parsed
    assert vm.eval(f"parameters.parse({value!r})") == parsed


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "filename", "x-a", "charset"]),
                       st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1,
                               max_size=90)))
def test_what_cpython_writes_is_read(vm, given_parameters):
    """Long and other than ASCII, it is cut into pieces and has percent signs."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message.add_header("Content-Disposition", "attachment")
    for name, text in given_parameters.items():
        message.set_param(name, text, "Content-Disposition", charset="utf-8")
    folded = message.as_bytes().split(b"Content-Disposition:", 1)[1].split(b"\r\n\r\n")[0]
    value = folded.replace(b"\r\n", b"").strip()
    read = parameters.parse(value)
    assert read == ("attachment", given_parameters), value
    assert vm.eval(f"parameters.parse({value!r})") == read


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b";", b"=", b"*", b"0", b"1", b'"', b"\\", b"(", b")", b"'",
                                 b"%41", b"%", b"name", b" ", b"\xe4", b"=?u?q?a?="]),
                max_size=20).map(b"".join))
def test_nothing_is_raised_and_the_vm_says_the_same(vm, value):
    assert vm.eval(f"parameters.parse({value!r})") == parameters.parse(value)
