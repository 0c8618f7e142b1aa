"""POP3 at one port."""

from picopost.listener import Listener
from picopost.pop3 import replies, session

_NAMES = {110: "pop3", 995: "pop3s"}


class Pop3Service(Listener):
    """See Listener."""

    NO_SEAT = replies.TOO_MANY_SESSIONS
    CROWDED = replies.TOO_MANY_FROM_ADDRESS
    STRANGER = replies.NOT_YOUR_NETWORK

    def __init__(self, port: int, office, policies, failures, identity):
        super().__init__(port, office, policies, failures, identity)
        self.name = _NAMES.get(port) or "pop3_%d" % port

    def words(self, reply):
        return reply

    def start(self, channel):
        return session.Session(channel, self, self.rules(channel.peer))
