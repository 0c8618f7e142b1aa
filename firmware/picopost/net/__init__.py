from picopost import event_log


class LinkError(OSError):
    """The network is not to be had now: `why`, and the `advice` for its owner."""

    def __init__(self, why, advice):
        super().__init__(why)
        self.why = why
        self.advice = advice


def tell(error):
    """Log an OSError that a link's `up` raised."""
    if isinstance(error, LinkError):
        event_log.log("link_failed", why=error.why, advice=error.advice)
    else:
        event_log.log("link_failed", why=str(error))


def no_cable():
    return LinkError("W5500: no link, is the cable in?", "put it into the board, and into a switch "
                     "or router that has power; its lights are on where both ends are")


def no_dhcp():
    return LinkError("no DHCP server answers", "let the router give out addresses, or set address, "
                     "or fallback_address for when it does not")
