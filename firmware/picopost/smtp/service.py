"""SMTP at one port."""

from picopost.listener import Listener
from picopost.smtp import replies, session

_NAMES = {25: "smtp", 465: "smtps", 587: "submission"}


class SmtpService(Listener):
    """See Listener."""

    def __init__(self, port: int, office, policies, failures, identity):
        super().__init__(port, office, policies, failures, identity)
        self.name = _NAMES.get(port) or "smtp%d" % port
        domain = office.hostname.encode()
        self.say(*[replies.format(reply, domain, False) for reply in (
            replies.TOO_MANY_SESSIONS, replies.TOO_MANY_FROM_ADDRESS, replies.NOT_YOUR_NETWORK)])

    def start(self, channel):
        return session.Session(channel, self, self.rules(channel.peer))
