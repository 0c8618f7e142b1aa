"""HTML as text, piece by piece, against CPython's html module, under CPython and in the VM."""

import html
import html.parser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.support.vm import Vm

from picopost.mime import html_entities, html_text  # isort: skip

CASES = [
    ("", ""), ("plain", "plain"), ("  a \n b\t c ", "a b c"), ("a<b>b</b> c", "ab c"),
    ("<p>One</p><p>Two</p>", "One\n\nTwo"), ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
    ("<div>a</div><div>b</div>", "a\nb"), ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"),
    ("<pre>a\n  b</pre>", "a\n  b"),
    # Not shown
    ("<html><head><title>T</title><style>x</style></head><body>b", "b"),
    ("a<script>if (1<2) '</p>'</script>b", "ab"), ("a<!-- <b> -- > -->b", "ab"), ("a<!-->b", "ab"),
    ("<!DOCTYPE html>a", "a"), ("<?xml x?>a", "a"), ("<head><meta>a<p>b", "b"),
    # Quotes, broken tags, what never ends
    ("<a title='>' href=\">\">x</a>", "x"), ("<p title=it's>x</p>", "x"),
    ("1 < 2 > 1", "1 < 2 > 1"),
    ("a<", "a<"), ("a</", "a</"),
    ("a</>b", "ab"), ("a<b", "a"), ("a<b title='x", "a"), ("a<!--b", "a"),
    ("<script>x", ""), ("a</ b>c", "ac"),
    # Characters
    ("&lt;&amp;&gt;&quot;&apos;&nbsp;x", "<&>\"' x"), ("&euro;&auml;&Auml;", "€äÄ"),
    ("&#65;&#x41;&#X42;&#128;&#0;&#xD800;&#99999999;", "AAB€\ufffd\ufffd\ufffd"), ("&amp", "&"),
    ("&copyx &nothing; &none; &; & &#; &#x;", "©x ¬hing; &none; &; & &#; &#x;"), ("AT&T", "AT&T"),
]


def shown(text, piece):
    reader = html_text.HtmlText()
    pieces = [reader.read(text[at:at + piece]) for at in range(0, len(text), piece)]
    return "".join(pieces) + reader.read("", True)


@pytest.mark.parametrize("text, expected", CASES, ids=range(len(CASES)))
def test_cases(vm, text, expected):
    for piece in (1, 2, 7, 4096):
        assert shown(text, piece) == expected
    assert vm.eval(f"html_text.HtmlText().read({text!r}, True)") == expected


def test_names_are_loaded_when_the_first_comes():
    with Vm(heap_kib=196) as vm:
        vm.exec("import sys; from picopost.mime import html_text")
        for text, loaded in (("<p>&#65; & &</p>", False), ("a &amp b", True)):
            vm.eval(f"html_text.HtmlText().read({text!r}, True)")
            assert vm.eval("'picopost.mime.html_entities' in sys.modules") is loaded, text


def test_names_are_html_s():
    names = [word.partition("=")[0] for word in
             (html_entities.LATIN_1 + html_entities.OTHERS).split() if word != "\u2002"]
    assert len(names) > 150
    for name in names:
        if len(name) > 1:
            assert html_entities.character(name) == html.unescape(f"&{name};"), name


class _Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.pieces = []

    def handle_data(self, data):
        self.pieces.append(data)

    def handle_starttag(self, tag, attributes):
        self.pieces.append(" " * (tag in ("p", "br", "div", "td")))

    def handle_endtag(self, tag):
        self.handle_starttag(tag, ())


PIECES = ["<p>", "</p>", "<br>", "<b>", "</b>", "<i class='>'>", "</i>", "<div id=x>", "</div>",
          "text", " ", "\n", "&amp;", "&#228;", "&eacute;", "ä", "<!-- x -->", "x < y", "\u20ac"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), st.integers(1, 9))
def test_the_words_of_right_html_are_cpython_s(vm, text, piece):
    parser = _Text()
    parser.feed(text)
    parser.close()
    read = shown(text, piece)
    assert read.split() == "".join(parser.pieces).split()
    assert vm.eval(f"html_text.HtmlText().read({text!r}, True)") == read


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, "<", ">", "&", "#", ";", "'", '"', "=", "/", "!", "-",
                                 "script", "</script", "<style", "<pre>", "x"]),
                max_size=20).map("".join),
       st.integers(1, 9))
def test_nothing_is_raised_however_it_is_cut(vm, text, piece):
    whole = html_text.HtmlText().read(text, True)
    assert shown(text, piece) == whole
    assert vm.eval(f"html_text.HtmlText().read({text!r}, True)") == whole


@pytest.mark.parametrize("piece", ["<", "&", "<b ", "<!--", "</script", "<pre> ", "&#9999999999",
                                   "'", "a "])
def test_its_state_is_bounded(vm, piece):
    """Half a megabyte of it leaves nothing behind but a few blocks of heap."""
    grown = vm.eval(f"html_growth({piece * 64!r}, {500_000 // (64 * len(piece))})")
    assert grown < 4096


def test_what_it_costs_does_not_grow(vm):
    """Characters that were held back and read again, at each piece of one."""
    for text in ("<" * 2000, "&" * 2000, "<!--" * 500, "&#1" * 700, "</script" * 250):
        reader = html_text.HtmlText()
        most = 0
        for c in text:
            reader.read(c)
            most = max(most, len(reader._held))
        assert most <= 64, text[:8]
