"""POP3 at one port."""

from picopost.listener import Listener
from picopost.pop3 import replies, session


class Pop3Service(Listener):
    """See Listener."""

    NAMES = {110: "pop3", 995: "pop3s"}
    PREFIX = "pop3_"
    NO_SEAT = replies.TOO_MANY_SESSIONS
    CROWDED = replies.TOO_MANY_FROM_ADDRESS
    STRANGER = replies.NOT_YOUR_NETWORK

    def words(self, reply):
        return reply

    def start(self, channel):
        return session.Session(channel, self, self.rules(channel.peer))
