"""A port of the appliance: whom it serves, by the settings, and what others hear."""

from picopost.net.identity import REFUSAL


class Listener:
    """What SMTP's and POP3's services share; these say what they are called (NAMES by port, PREFIX
    of the others) and have the replies NO_SEAT (to who comes when there is none), CROWDED (to
    whose address has enough of them) and STRANGER (to whose network is not served).

    They have `start(channel)` too, which returns a session: it has `run()`, which returns when it
    is over; `release()`, which frees what it still holds; `farewell(timed_out)`, the last words to
    a client whose time is up or whose session broke.

    `port` is one that `policies` knows, `office` the PostOffice, `policies` the policy.Policies of
    all ports, `failures` the Failures of all services, `identity` the one for TLS, or None.
    """

    def __init__(self, port: int, office, policies, failures, identity):
        self.port = port
        self.name = self.NAMES.get(port) or self.PREFIX + str(port)
        self.office = office
        self.failures = failures
        self.identity = identity
        self._policies = policies

    def words(self, reply) -> bytes:
        """The octets of a reply of this protocol: one of `NO_SEAT`, `CROWDED` and `STRANGER`."""
        raise NotImplementedError

    def _told(self, reply):
        # Where TLS begins at once nothing can be said in words.
        return REFUSAL if self._policies.begins_in_tls(self.port) else self.words(reply)

    @property
    def busy(self):
        """What a client hears for whom there is no seat, as octets."""
        return self._told(self.NO_SEAT)

    @property
    def crowded(self):
        """What a client hears whose address has enough of them."""
        return self._told(self.CROWDED)

    def refusal(self, connection):
        """None, or why this client gets no session: (what it hears, reason for the log)."""
        if not self._policies.admits(self.port, connection.peer):
            why = ("no network of port %d has its address: see the settings listeners and "
                   "pop3_listeners" % self.port)
            return self._told(self.STRANGER), why
        return None

    def sessions(self, peer):
        """How many sessions this address may have at once, over all services."""
        return self._policies.sessions(peer, self.office.sessions_per_address)

    def rules(self, peer):
        """The policy.Policy of a session of `peer`."""
        return self._policies.of(self.port, peer)
