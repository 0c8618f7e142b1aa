"""What a person should know of a session that did not go well: one line in the log, in words that
say what to change on the device.
"""

from picopost import event_log, load, unload
from picopost.smtp import replies

# What mostly follows from another refusal, or is a device's probing that hurts nobody.
_HARMLESS = (replies.NOT_RECOGNIZED, replies.NOT_IMPLEMENTED, replies.NO_RECIPIENTS,
             replies.BAD_SEQUENCE, replies.HELLO_FIRST, replies.AUTH_CANCELLED,
             replies.TOO_MANY_ERRORS, replies.TIMED_OUT)


class Notes:
    """A session's: `refused` and `remark` as it goes, `write` at its end.

        letters   how many were accepted
        octets    in all of these
        quirks    bits of what the device does otherwise than others: passports/words.py
        ending    how it ended, as a verb for the log: "quit", "hung up", ...
    """

    def __init__(self):
        self.letters = 0
        self.octets = 0
        self.quirks = 0
        self.ending = "hung up"
        self._command = ""
        self._reply = None
        self.detail = ""
        self._remark = ""

    def refused(self, command, reply, detail=""):
        """`command` (octets of a line, cut to 80, no secret in it) was refused with `reply`.

        `detail`: why, where that says more than the reply's text.
        """
        if self._reply is None or reply not in _HARMLESS or self._reply in _HARMLESS:
            self._command = command
            self._reply = reply
            self.detail = detail

    def refusal(self):
        """The Reply of the refusal that matters, None: there was none; `detail` is as there."""
        return None if self._reply in _HARMLESS and self.letters else self._reply

    def remark(self, text):
        """Something odd that was let pass; the last one counts."""
        self._remark = text

    def write(self, peer, service, device, helo, last_command):
        """Log what there is to say: nothing of a session that a person need not care about."""
        reply = self.refusal()
        if reply is None and not self._remark and (self.letters or self.ending == "quit"):
            return
        fields = {"peer": peer, "service": service}
        if device:
            fields["device"] = device
        if helo:
            fields["helo"] = helo
        if reply is not None:
            fields["why"] = "%s after %s was refused: %s" % (
                "went on" if self.letters else self.ending, _text(self._command),
                self.detail or _text(reply.split(b" ", 2)[2]))
            hint = load("picopost.smtp.advice").of(reply)
            if hint:
                fields["advice"] = hint
            unload("picopost.smtp.advice")
            event_log.log("refused", **fields)
            return
        if self._remark:
            fields["why"] = self._remark
        else:
            fields["why"] = "%s after %s, no letter sent" % (
                self.ending, _text(last_command) or "the greeting")
        event_log.log("odd", **fields)


def _text(octets):
    return octets if isinstance(octets, str) else event_log.text(octets)
