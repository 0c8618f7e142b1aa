"""SMTP at one port."""

from picopost.listener import Listener
from picopost.smtp import replies, session


class SmtpService(Listener):
    """See Listener."""

    NAMES = {25: "smtp", 465: "smtps", 587: "submission"}
    PREFIX = "smtp"
    NO_SEAT = replies.TOO_MANY_SESSIONS
    CROWDED = replies.TOO_MANY_FROM_ADDRESS
    STRANGER = replies.NOT_YOUR_NETWORK

    def words(self, reply):
        return replies.format(reply, self.office.hostname.encode(), False)

    def start(self, channel):
        return session.Session(channel, self, self.rules(channel.peer))
