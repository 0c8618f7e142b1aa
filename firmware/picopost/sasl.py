"""SASL's PLAIN (RFC 4616) and LOGIN, as SMTP (RFC 4954) and POP3 (RFC 5034) carry them: base64
responses in, credentials out. No I/O.
"""

import binascii

from picopost import limits

MECHANISMS = (b"PLAIN", b"LOGIN")
# LOGIN's challenges, base64 of "Username:" and "Password:". Its drafts let a server ask in other
# words, but clients look for these.
USERNAME = b"VXNlcm5hbWU6"
PASSWORD = b"UGFzc3dvcmQ6"

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Malformed(ValueError):
    """A response that is no base64, or does not hold what the mechanism wants."""


def decode(response: bytes) -> bytes:
    """The octets of one response. Raises Malformed."""
    body = response.rstrip(b"=")
    # a2b_base64 would pass over what it does not know.
    if len(response) % 4 or len(response) - len(body) > 2 or body.strip(_ALPHABET):
        raise Malformed
    return binascii.a2b_base64(response)


class Exchange:
    """One exchange: `respond` with each response until it returns None.

    Then `user` and `password` hold the credentials, as octets; `user` is b"" where a client
    wants to act for somebody else, which nobody may here.
    """

    def __init__(self, mechanism: bytes):
        """`mechanism` is one of MECHANISMS."""
        self.mechanism = mechanism
        self.user = None
        self.password = None

    @property
    def first_challenge(self) -> bytes:
        """What the server sends where the client gave no initial response."""
        return USERNAME if self.mechanism == b"LOGIN" else b""

    def respond(self, response: bytes) -> bytes | None:
        """The next challenge, in base64, or None at the end. Raises Malformed."""
        octets = decode(response)
        if self.mechanism == b"LOGIN":
            if self.user is None:
                self.user = octets
                self._check(octets)
                return PASSWORD
            self.password = octets
        else:
            parts = octets.split(b"\0")
            if len(parts) != 3 or not parts[1] or not parts[2]:
                raise Malformed
            acting_for, self.user, self.password = parts
            self._check(self.user)
            if acting_for not in (b"", self.user):
                self.user = b""
        return None

    def _check(self, user: bytes) -> None:
        # It is kept until the password has come, and shown in the log.
        if len(user) > limits.MAX_USER:
            raise Malformed
