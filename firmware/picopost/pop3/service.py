"""POP3 at its port, and what those hear for whom there is no room."""

from picopost.net.server import Service
from picopost.pop3 import session


class Pop3Service(Service):
    """`office` is the PostOffice, `policies` the smtp.policy.Policies that know the clients,
    `failures` the Failures of all services.
    """

    name = "pop3"
    busy = b"-ERR [SYS/TEMP] too many sessions, try again later\r\n"
    crowded = b"-ERR [SYS/TEMP] too many sessions from your address, try again later\r\n"

    def __init__(self, office, policies, failures):
        self._office = office
        self._policies = policies
        self._failures = failures

    def sessions(self, peer):
        return self._policies.sessions(peer, self._office.sessions_per_address)

    def start(self, channel):
        return session.Session(channel, self._office, self._failures)
