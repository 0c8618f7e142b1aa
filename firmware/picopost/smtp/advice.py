"""For each refusal, what its owner can change on the device or here. Loaded when one is due."""

from binascii import crc32

from picopost.smtp import replies

_NAMES = "the settings aliases, catch_all and default_mailbox say who gets mail for other names"
_SMALLER = "let the device send smaller files, or raise the setting"
_LOGIN = "give the device an account's name and password; port 25 needs none, as it comes"

_HINTS = {
    replies.UNKNOWN_MAILBOX: "send to an account here; " + _NAMES,
    replies.FORWARD_PATH_NOT_ASCII: "use an address in plain ASCII; " + _NAMES,
    replies.REVERSE_PATH_NOT_ASCII: "give the device a sender address in plain ASCII",
    replies.BAD_FORWARD_PATH: "the device's recipient is no mail address",
    replies.RCPT_SYNTAX: "the device's recipient is no mail address",
    replies.BAD_REVERSE_PATH: "the device's sender is no mail address",
    replies.MAIL_SYNTAX: "the device's sender is no mail address",
    replies.MESSAGE_TOO_BIG: _SMALLER + " max_message_size",
    replies.OVER_QUOTA: _SMALLER + " mailboxes",
    replies.MAILBOX_FULL: "fetch and delete mail, or let the setting mailboxes drop old mail",
    replies.CARD_FULL: "fetch and delete mail, or put in a larger card",
    replies.LOCAL_ERROR: "look at the card: events card_fault and card_lost",
    replies.AUTH_WRONG: _LOGIN,
    replies.AUTH_REQUIRED: "let the device log in, or use port 25",
    replies.AUTH_BAD_BASE64: _LOGIN,
    replies.AUTH_MECHANISM: "let the device log in with PLAIN or LOGIN",
    replies.AUTH_NOT_OFFERED: "turn the login off on the device; the setting clients hides AUTH "
                              "from it",
    replies.AUTH_IN_CLEAR: "turn TLS on on the device; the setting require_tls wants it for logins",
    replies.TLS_REQUIRED: "turn STARTTLS on on the device",
    replies.NO_TLS_HERE: "turn TLS off on the device",
    replies.TLS_BUSY: "spread the devices that use TLS over time, or let some go without",
    replies.TLS_FAILED: "let the device accept the appliance's certificate, or turn its TLS off; "
                        "the setting clients, with starttls false, hides TLS from it",
    replies.TLS_UNASKED: "the device speaks TLS at once: let it use STARTTLS or no TLS, or the "
                         "port for TLS (465)",
    replies.TLS_WANTED: "the device speaks no TLS at a port for TLS: let it use SSL/TLS, or "
                        "port 25",
    replies.BARE_IN_MESSAGE: "the device ends lines wrongly: the setting clients, with line_ends "
                             "normalize",
    replies.BARE_LINE_END: "the device ends lines wrongly: the setting clients, with line_ends "
                           "normalize",
    replies.TALKED_EARLY: "the device does not wait for the greeting: the setting clients, with "
                          "early_talkers accept",
    replies.MAIL_LOOP: "two servers send this mail to each other",
    replies.TOO_MANY_RECIPIENTS: "the message has more recipients than are taken at once",
    replies.NOT_SMTP: "something looks for a web server here",
    replies.UNKNOWN_PARAMETER: "the device uses an extension that was not offered",
}


def of(reply):
    """The hint for a Reply, or None."""
    return _HINTS.get(reply)


def known(code):
    """(Reply, its hint) by the Reply's CRC-32; (None, None) where it is not one that has a hint."""
    for reply in _HINTS:
        if crc32(reply) == code:
            return reply, _HINTS[reply]
    return None, None
