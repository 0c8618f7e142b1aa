"""The names that characters have in HTML 4 (its section 24) and mail programs write."""

from picopost.mime import utf8

# The characters 160 to 255, in their order; HTML 5 (13.2.5.73) knows these, and four others,
# without a semicolon too.
LATIN_1 = (
    " nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg "
    "plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest "
    "Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute "
    "Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc "
    "Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute "
    "ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide "
    "oslash ugrave uacute ucirc uuml yacute thorn yuml "
)
_BARE = " quot amp lt gt "
OTHERS = (
    " quot=\" amp=& lt=< gt=> apos=' OElig=Œ oelig=œ Scaron=Š scaron=š Yuml=Ÿ fnof=ƒ circ=ˆ "
    "tilde=˜ ensp=\u2002 emsp=\u2003 thinsp=\u2009 zwnj=\u200c zwj=\u200d lrm=\u200e rlm=\u200f "
    "ndash=– mdash=— lsquo=‘ rsquo=’ sbquo=‚ ldquo=“ rdquo=” bdquo=„ dagger=† Dagger=‡ bull=• "
    "hellip=… permil=‰ prime=′ Prime=″ lsaquo=‹ rsaquo=› oline=‾ euro=€ trade=™ larr=← uarr=↑ "
    "rarr=→ darr=↓ harr=↔ lArr=⇐ rArr=⇒ hArr=⇔ minus=− infin=∞ ne=≠ le=≤ ge=≥ asymp=≈ equiv=≡ "
    "radic=√ sum=∑ part=∂ Alpha=Α Beta=Β Gamma=Γ Delta=Δ Omega=Ω alpha=α beta=β gamma=γ delta=δ "
    "epsilon=ε lambda=λ mu=μ pi=π sigma=σ tau=τ phi=φ omega=ω check=✓ star=☆ hearts=♥ spades=♠ "
    "clubs=♣ diams=♦ "
)


def character(name):
    """The character that `name` stands for in "&name;", "" if none here does."""
    found = LATIN_1.find(" %s " % name)
    if found >= 0:
        return utf8.character(160 + LATIN_1.count(" ", 0, found))
    found = OTHERS.find(" %s=" % name)
    if found >= 0:
        found += len(name) + 2
        return OTHERS[found:found + 1]
    return ""


def without_semicolon(text):
    """(character, how much of `text` names it) where no semicolon ends it, ("", 0) if none does."""
    for length in range(min(len(text), 6), 1, -1):
        if " %s " % text[:length] in LATIN_1 or " %s " % text[:length] in _BARE:
            return character(text[:length]), length
    return "", 0
