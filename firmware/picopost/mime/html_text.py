"""HTML to text that can be read, piece by piece, in constant memory.

Tags go, and all that is not shown: comments, scripts, styles, the head. Block elements begin a
line, paragraphs, lists, tables and headings an empty line before it; white space is joined but in
`pre`; names and numbers of characters become these. Broken HTML is read as browsers read it (HTML
5, 13.2): what begins and never ends, a comment or an attribute's quote, goes on to the end.
"""

from picopost.limits import HTML_BLOCK
from picopost.mime import utf8

_TEXT, _NAME, _ATTRIBUTES, _QUOTED, _COMMENT, _BOGUS, _RAW = range(7)

_BLANKS = " \t\r\n\f"
_PARAGRAPHS = " p h1 h2 h3 h4 h5 h6 table ul ol dl blockquote pre hr form fieldset "
_LINES = (" div tr li dt dd section article header footer main nav aside address center caption"
          " option legend figure figcaption body html thead tbody tfoot ")
# Their content is neither text nor tags, up to their end tag.
_RAW_NAMES = " script style title "
# What may stand in a head; any other tag begins the body (13.2.6.4.4).
_HEAD_NAMES = " html head title meta link base style script noscript bgsound basefont "

_MAX_NAME = 12  # of a tag: the longest that means something here has 10
_MAX_REFERENCE = 32  # of "&#65;" and the like: no name here has more than 8
_MAX_INDENT = 80  # blanks that are kept before a line in `pre`

_DECIMAL = "0123456789"
_HEXADECIMAL = "0123456789abcdefABCDEF"


class HtmlText:
    """One HTML text, in pieces of any length."""

    def __init__(self):
        self._state = _TEXT
        self._held = ""  # what can only be understood with more behind it
        self._tag = ""  # the name of the tag that is being read, in lower case, with its "/"
        self._sign = ""  # the last one in it that was no blank; the quote inside of quotes
        self._raw = ""  # the element whose end is looked for
        self._in_head = False
        self._pre = False
        # What comes before the next text: line ends, then blanks.
        self._begun = False
        self._breaks = 0
        self._bullet = False
        self._blanks = ""
        self._shown = []

    def read(self, text, final=False):
        """The text that the next piece of HTML, a str, adds to what was returned; `final`:
        nothing more comes. It has no line end at its end."""
        for begin in range(0, len(text), HTML_BLOCK):
            self._read_block(self._held + text[begin:begin + HTML_BLOCK], False)
        if final:
            self._read_block(self._held, True)
        shown = "".join(self._shown)
        self._shown = []
        return shown

    def _read_block(self, text, final):
        at = 0
        while at < len(text):
            state = self._state
            if state == _TEXT:
                behind = self._text(text, at, final)
            elif state == _NAME:
                behind = self._name(text, at)
            elif state == _ATTRIBUTES:
                behind = self._attributes(text, at)
            elif state == _COMMENT:
                behind = self._comment(text, at, final)
            elif state == _RAW:
                behind = self._raw_text(text, at, final)
            else:
                behind = self._up_to_sign(text, at)
            if behind == at:
                break
            at = behind
        self._held = text[at:]

    # Each of these returns the index behind what it understood, `at` if more must come first.

    def _text(self, text, at, final):
        tag = text.find("<", at)
        reference = text.find("&", at, tag if tag >= 0 else len(text))
        end = reference if reference >= 0 else tag if tag >= 0 else len(text)
        if end > at:
            self._show(text[at:end])
            return end
        if end == reference:
            return self._reference(text, at, final)
        sign = text[at + 1:at + 2]
        if sign == "/":
            sign = text[at + 2:at + 3]
            if _is_letter(sign):
                return self._begin_tag("/", at + 2)
            if sign:  # "</>" is nothing
                self._state = _BOGUS
                self._sign = ">"
                return at + 2
        elif _is_letter(sign):
            return self._begin_tag("", at + 1)
        elif sign == "!" and text[at:at + 4] == "<!--":
            self._state = _COMMENT
            return at + 2  # "<!-->" is a whole one
        elif sign == "!" and len(text) - at < 4 and "<!--".startswith(text[at:]) and not final:
            return at
        elif sign in ("!", "?"):
            self._state = _BOGUS
            self._sign = ">"
            return at + 2
        if not sign and not final:
            return at
        self._show("<")
        return at + 1

    def _begin_tag(self, slash, at):
        self._state = _NAME
        self._tag = slash
        return at

    def _reference(self, text, at, final):
        """A character by name or number (13.2.5.72 to 13.2.5.80)."""
        begin = at + 1
        digits = None
        if text[begin:begin + 1] == "#":
            digits = _DECIMAL
            begin += 1
            if text[begin:begin + 1] in ("x", "X"):
                digits = _HEXADECIMAL
                begin += 1
        end = begin
        last = min(len(text), at + _MAX_REFERENCE)
        while end < last and _is_one_of(text[end : end + 1], digits):
            end += 1
        if end == len(text) and end < at + _MAX_REFERENCE and not final:
            return at
        behind = end + 1 if text[end:end + 1] == ";" else end
        name = text[begin:end]
        if digits and name:
            c = _numbered(int(name, 10 if digits is _DECIMAL else 16))
        elif digits:
            c, behind = text[at:begin], begin
        else:
            c = ""
            if name:
                # 2 KB of names, of which most texts have none.
                from picopost.mime import html_entities

                if behind > end:
                    c = html_entities.character(name)
                if not c:
                    c, length = html_entities.without_semicolon(name)
                    behind = begin + length
            if not c:
                c, behind = "&", begin
        self._show(c)
        return behind

    def _name(self, text, at):
        end = at
        while end < len(text) and text[end : end + 1] not in " \t\r\n\f/>":
            end += 1
        self._tag = (self._tag + text[at:end].lower())[:_MAX_NAME]
        if end < len(text):
            self._state = _ATTRIBUTES
            self._sign = ""
            if end == at:
                return self._attributes(text, at)
        return end

    def _attributes(self, text, at):
        """To the ">" that is in no quotes; quotes are only behind a "=" (13.2.5.37)."""
        while True:
            end = text.find(">", at)
            stop = end if end >= 0 else len(text)
            quote = text.find('"', at, stop)
            single = text.find("'", at, quote if quote >= 0 else stop)
            if single >= 0:
                quote = single
            if quote >= 0:
                stop = quote
            before = text[at:stop].rstrip(_BLANKS)
            if before:
                self._sign = before[-1:]
            if quote < 0:
                break
            at = quote + 1
            if self._sign == "=":
                self._state = _QUOTED
                self._sign = text[quote:at]
                return at
            self._sign = text[quote:at]
        if end < 0:
            return len(text)
        self._state = _TEXT
        self._end_of_tag()
        return end + 1

    def _up_to_sign(self, text, at):
        """To the end of an attribute's value in quotes, or of "<!DOCTYPE" and the like."""
        end = text.find(self._sign, at)
        if end < 0:
            return len(text)
        self._state = _ATTRIBUTES if self._state == _QUOTED else _TEXT
        return end + 1

    def _comment(self, text, at, final):
        end = text.find("-->", at)
        if end >= 0:
            self._state = _TEXT
            return end + 3
        return len(text) if final else max(at, len(text) - 2)

    def _raw_text(self, text, at, final):
        found = text.find("</", at)
        if found < 0:
            return len(text) - 1 if text.endswith("<") and not final else len(text)
        behind = found + 2 + len(self._raw)
        if behind >= len(text):  # what follows the name is to be seen
            return len(text) if final else found
        sign = text[behind : behind + 1]
        if sign in " \t\r\n\f/>" and text[found + 2 : behind].lower() == self._raw:
            self._state = _ATTRIBUTES
            self._tag = "/" + self._raw
            self._sign = ""
            return behind
        return found + 2

    def _end_of_tag(self):
        """What the tag that ends here means for the text."""
        end_tag = self._tag[:1] == "/"
        name = self._tag[1:] if end_tag else self._tag
        word = " %s " % name
        if name == "head":
            self._in_head = not end_tag
        elif not end_tag and word not in _HEAD_NAMES:
            self._in_head = False
        if word in _RAW_NAMES and not end_tag:
            self._state = _RAW
            self._raw = name
        elif word in _PARAGRAPHS:
            self._break(2)
            if name == "pre":
                self._pre = not end_tag
        elif name == "br":
            self._break(min(self._breaks + 1, 2))
        elif word in _LINES:
            self._break(1)
            if name == "li":
                self._bullet = not end_tag
        elif name in ("td", "th") and not self._breaks:
            self._blanks = " "

    def _break(self, lines):
        self._breaks = max(self._breaks, lines)
        self._blanks = ""

    def _show(self, text):
        if self._in_head:
            return
        if self._pre:
            self._show_lines(text.replace("\r", "").replace("\xa0", " ").split("\n"))
            return
        for blank in "\t\r\n\f\xa0":
            text = text.replace(blank, " ")
        while "  " in text:
            text = text.replace("  ", " ")
        words = text.strip(" ")
        if text[:1] == " ":
            self._blanks = " "
        if words:
            if self._breaks or not self._begun:
                self._blanks = ""
            self._append(words)
            self._blanks = " " if text.endswith(" ") else ""

    def _show_lines(self, lines):
        for number, line in enumerate(lines):
            if number:
                self._break(min(self._breaks + 1, 2))
            words = line.rstrip(" \t")
            if words:
                self._append(words)
                line = line[len(words):]
            self._blanks = (self._blanks + line)[:_MAX_INDENT]

    def _append(self, words):
        shown = self._shown
        if self._begun and self._breaks:
            shown.append("\n\n"[:self._breaks])
        if self._bullet:
            shown.append("- ")
        shown.append(self._blanks)
        shown.append(words)
        self._begun = True
        self._breaks = 0
        self._bullet = False
        self._blanks = ""


def _is_letter(c):
    return "a" <= c <= "z" or "A" <= c <= "Z"


def _is_one_of(c, digits):
    return c in digits if digits else _is_letter(c) or "0" <= c <= "9"


def _numbered(number):
    """The character of a number (13.2.5.80): 128 to 159 are meant in windows-1252, controls are
    nothing, what no character has is U+FFFD."""
    if number == 0 or number > 0x10FFFF or 0xD800 <= number < 0xE000:
        return "\ufffd"
    if 0x80 <= number < 0xA0:
        from picopost.mime import charsets
        return charsets.decode(bytes((number,)), "windows-1252")
    shown = utf8.character(number)
    return "" if number < 0x20 and shown not in _BLANKS or number == 0x7F else shown
