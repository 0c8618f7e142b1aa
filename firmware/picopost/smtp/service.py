"""SMTP at one port: whom it serves, and what others hear."""

from picopost.net.identity import REFUSAL
from picopost.net.server import Service
from picopost.smtp import replies, session

_NAMES = {25: "smtp", 465: "smtps", 587: "submission"}


class SmtpService(Service):
    """`office` is the PostOffice, `policies` the Policies of all listeners, `failures` the
    Failures of all services, `identity` the one for TLS, or None.
    """

    def __init__(self, port: int, office, policies, failures, identity):
        self.port = port
        self.name = _NAMES.get(port) or "smtp%d" % port
        self.office = office
        self.failures = failures
        self.identity = identity
        self._policies = policies
        if policies.begins_in_tls(port):
            self.busy = self.crowded = self._stranger = REFUSAL
        else:
            domain = office.hostname.encode()
            self.busy = replies.format(replies.TOO_MANY_SESSIONS, domain, False)
            self.crowded = replies.format(replies.TOO_MANY_FROM_ADDRESS, domain, False)
            self._stranger = replies.format(replies.NOT_YOUR_NETWORK, domain, False)

    def refusal(self, connection):
        if not self._policies.admits(self.port, connection.peer):
            return self._stranger, ("no network of port %d has its address: see the setting "
                                    "listeners" % self.port)
        return None

    def sessions(self, peer):
        return self._policies.sessions(peer, self.office.sessions_per_address)

    def start(self, channel):
        return session.Session(channel, self, self._policies.of(self.port, channel.peer))
