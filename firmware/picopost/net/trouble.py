"""Why there is no network, and what its owner can do; loaded for as long as that is said.

A link raises OSError(what, details ...), `what` of `_WORDS`.
"""

from picopost import event_log

_NEARER = "bring it nearer to the access point, whose network has to be one of 2.4 GHz"
_WIFI = "Wi-Fi %r: "
_WORDS = {
    "no chip": ("W5500: no chip answers, VERSIONR is %d",
                "look at its supply and its wires, as the board's page shows them"),
    "no cable": ("W5500: no link, is the cable in?", "put it into the board, and into a switch or "
                 "router that has power; its lights are on where both ends are"),
    "no DHCP": ("no DHCP server answers", "let the router give out addresses, or set address, or "
                "fallback_address for when it does not"),
    # WLAN.status() of the rp2 port; others are below 3, which would be the network.
    -1: (_WIFI + "the connection failed", _NEARER),
    -2: (_WIFI + "no such network", "is that its name? The setting wifi says it, `make deploy` "
         "sets it; " + _NEARER),
    -3: (_WIFI + "wrong password", "give it the right one: the setting wifi, `make deploy` sets "
         "it"),
    0: (_WIFI + "not joined in time", _NEARER),
}


def words(error):
    """(why, advice), the latter "" for an error that is none of a link's."""
    what = error.args[0] if error.args else ""
    if what in _WORDS:
        why, advice = _WORDS[what]
        return (why % error.args[1:] if len(error.args) > 1 else why), advice
    return str(error), ""


def tell(error):
    why, advice = words(error)
    if advice:
        event_log.log("link_failed", why=why, advice=advice)
    else:
        event_log.log("link_failed", why=why)
