"""A port of the appliance: whom it serves, by the settings, and what others hear."""

from picopost.net.identity import REFUSAL
from picopost.net.server import Service


class Listener(Service):
    """What SMTP's and POP3's services share; these say what they are called, and their words.

    `port` is one that `policies` knows, `office` the PostOffice, `policies` the policy.Policies of
    all ports, `failures` the Failures of all services, `identity` the one for TLS, or None.
    """

    def __init__(self, port: int, office, policies, failures, identity):
        self.port = port
        self.office = office
        self.failures = failures
        self.identity = identity
        self._policies = policies
        self.begins_in_tls = policies.begins_in_tls(port)
        self._stranger = b""

    def say(self, busy: bytes, crowded: bytes, stranger: bytes) -> None:
        """What a client hears for whom there is no seat, whose address has enough of them, whose
        network is not served. Where TLS begins at once it cannot be told in words.
        """
        if self.begins_in_tls:
            busy = crowded = stranger = REFUSAL
        self.busy = busy
        self.crowded = crowded
        self._stranger = stranger

    def refusal(self, connection):
        if not self._policies.admits(self.port, connection.peer):
            return self._stranger, ("no network of port %d has its address: see the settings "
                                    "listeners and pop3_listeners" % self.port)
        return None

    def sessions(self, peer):
        return self._policies.sessions(peer, self.office.sessions_per_address)

    def rules(self, peer):
        """The policy.Policy of a session of `peer`."""
        return self._policies.of(self.port, peer)
