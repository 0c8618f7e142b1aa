"""What names and addresses of hosts say: what kind an address is of, and which names belong
together."""

from __future__ import annotations

import ipaddress
import re

PUBLIC, PRIVATE, LOOPBACK, IMPOSSIBLE = "public", "private", "loopback", "impossible"

# Not `is_private`: to Python that also means networks for documents, and others of no use here.
_PRIVATE = [ipaddress.ip_network(network) for network in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
    "100.64.0.0/10",  # RFC 6598, what providers give to many customers at once
    "169.254.0.0/16", "fe80::/10",  # RFC 3927, RFC 4291 2.5.6
    "fc00::/7",  # RFC 4193
)]
_DOTTED = re.compile(r"\d{1,10}(?:\.\d{1,10}){3}")
# Endings that no public name has (RFC 6761, 6762, 8375, 9476), and those of home routers.
_INNER = ("localhost", "local", "localdomain", "lan", "home", "internal", "intern", "corp", "gbl",
          "arpa", "box", "private", "prod", "test", "invalid")
# The second level where names are registered below it, as in "co.uk".
_SHARED = ("ac", "asso", "co", "com", "edu", "gob", "gouv", "gov", "go", "ne", "net", "or", "org")
# Providers whose own servers go by names of several domains.
_HOUSES = [{"google.com", "gmail.com", "googlemail.com", "1e100.net"},
           {"outlook.com", "hotmail.com", "hotmail.fr", "live.com", "msn.com", "office365.com",
            "office.com", "exchangelabs.com", "microsoft.com"},
           {"yahoo.com", "yahoodns.net", "aol.com"}, {"apple.com", "icloud.com", "me.com"},
           {"amazonses.com", "amazonaws.com", "amazon.com"},
           {"pphosted.com", "ppops.net"},
           {"kundenserver.de", "1und1.com", "1und1.de", "1and1.com", "ionos.com", "ionos.fr"},
           {"free.fr", "proxad.net"}, {"orange.fr", "wanadoo.fr", "francetelecom.com"}]


def address_of(word: str) -> str | None:
    """The IP address that `word` is, in brackets or not; four numbers are one even where no
    network has it. None: it is none.
    """
    word = word.strip("[](),;<>")
    if word[:5].lower() == "ipv6:":  # RFC 5321 4.1.3
        word = word[5:]
    word = word.partition("%")[0]  # an interface, of a link-local one
    if _DOTTED.fullmatch(word) or ":" in word and _parsed(word):
        return word
    return None


def _parsed(address: str):
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def kind(address: str | None) -> str | None:
    """PUBLIC, PRIVATE, LOOPBACK or IMPOSSIBLE; None of None."""
    if address is None:
        return None
    parsed = _parsed(address)
    if parsed is None:
        return IMPOSSIBLE
    # IPv4 in IPv6; Google's machines have 6to4 addresses (RFC 3056) of their private ones.
    if parsed.version == 6:
        parsed = parsed.ipv4_mapped or parsed.sixtofour or parsed
    if parsed.is_loopback:
        return LOOPBACK
    if any(parsed in network for network in _PRIVATE if network.version == parsed.version):
        return PRIVATE
    if (parsed.is_unspecified or parsed.is_multicast
            or parsed.version == 4 and (parsed.packed[0] == 0 or parsed.packed[0] >= 240)):
        return IMPOSSIBLE  # RFC 1122 3.2.1.3, RFC 1112 4
    return PUBLIC


def plain(name: str | None) -> str:
    """A name to be compared: in lower case, without the root's dot and without brackets."""
    return (name or "").strip("[]<>").rstrip(".").lower()


def is_public_name(name: str | None) -> bool:
    """Whether it is a host name that could be looked up from anywhere."""
    labels = plain(name).split(".")
    return (len(labels) > 1 and all(labels) and labels[-1] not in _INNER
            and address_of(plain(name)) is None and not labels[-1].isdigit())


def organisation(name: str | None) -> str:
    """The domain that somebody has registered for a name, "" of names that are not public.

    A guess: the list of such domains is long and changes. The last two labels, or three where the
    last is a country's and that before it one of those below which countries register.
    """
    if not is_public_name(name):
        return ""
    labels = plain(name).split(".")
    count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED else 2
    return ".".join(labels[-count:])


def alike(one: str | None, other: str | None) -> bool:
    """Whether two organisations have one name under two endings, as some do in many countries."""
    first, second = organisation(one), organisation(other)
    return bool(first) and first.partition(".")[0] == second.partition(".")[0]


def same_house(one: str | None, other: str | None) -> bool:
    """Whether two names are the same or belong to one organisation."""
    if plain(one) and plain(one) == plain(other):
        return True
    first, second = organisation(one), organisation(other)
    return bool(first) and (first == second
                            or any(first in house and second in house for house in _HOUSES))
