"""What a session may and must do: by the listener that it came to and by the client's address.

All comes from the settings: `listeners` and `pop3_listeners` (port -> rules), `require_tls`, and
`clients` (address or network -> exceptions for devices that choke on what others need). The
longest matching network says each rule; what no network says is the listener's, or the default.
"""

from micropython import const

# Where a listener names no networks: RFC 1918, RFC 3927 and the loopback.
LAN = ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")

ANY_LOGIN = "any"  # of the rule `auth`: whatever user and password, and no rights by it
_ALL_BITS = const(32)


def network(text: str) -> tuple[int, int]:
    """(address, prefix length) of "192.168.1.20" or "192.168.0.0/16". ValueError: neither."""
    address, slash, prefix = text.partition("/")
    octets = address.split(".")
    bits = int(prefix) if slash else _ALL_BITS
    value = 0
    for octet in octets:
        if not octet.isdigit() or len(octet) > 3 or int(octet) > 255:
            raise ValueError
        value = value << 8 | int(octet)
    if len(octets) != 4 or not 0 <= bits <= _ALL_BITS or (slash and not prefix.isdigit()):
        raise ValueError
    return value, bits


def _contains(known: tuple[int, int], address: int) -> bool:
    shift = _ALL_BITS - known[1]
    return known[0] >> shift == address >> shift


class Policy:
    """The rules of one session.

        tls            TLS from the first octet
        starttls       STARTTLS, or STLS, is offered
        private_logins no login before TLS
        device         what the settings call the client, or ""
    and of an SMTP session:
        require_tls    nothing before TLS but EHLO, NOOP, QUIT, STARTTLS (RFC 3207 4)
        auth           AUTH is offered: True, False, or ANY_LOGIN
        require_auth   no MAIL before AUTH (RFC 4954 6)
        reject_bare    bare CR and LF are refused, not normalized
        wait           who speaks before the greeting is refused
    """

    def __init__(self, listener: dict, exceptions: dict, can_tls: bool, private_logins: bool):
        def rule(name, default):
            return exceptions.get(name, listener.get(name, default))

        self.tls = listener.get("tls", False)
        self.starttls = can_tls and not self.tls and rule("starttls", True)
        self.require_tls = rule("require_tls", False)
        self.auth = rule("auth", True)
        self.private_logins = private_logins or self.require_tls
        self.require_auth = rule("require_auth", False)
        self.reject_bare = rule("line_ends", "normalize") == "reject"
        self.wait = rule("early_talkers", "accept") == "reject"
        self.device = exceptions.get("name", "")


class Policies:
    """`listeners` (all of them, POP3's too) and `clients` as in the settings; `can_tls`: there are
    key and certificate; `private_logins`: the setting `require_tls`.
    """

    def __init__(self, listeners: dict, clients: dict, can_tls: bool,
                 private_logins: bool = False):
        lan = [network(text) for text in LAN]
        self._listeners = {}
        for port in listeners:
            rules = listeners[port]
            named = rules.get("networks")
            self._listeners[int(port)] = (
                rules, lan if named is None else [network(text) for text in named])
        # Widest first, so that what a narrower one says comes later and holds.
        self._clients = sorted([(network(text)[1], network(text), clients[text])
                                for text in clients], key=lambda entry: entry[0])
        self._can_tls = can_tls
        self._private_logins = private_logins

    def ports(self) -> list[int]:
        """The ports to serve, 25 and 110 first; without key and certificate none that wants TLS."""
        ports = []
        for port in self._listeners:
            rules = self._listeners[port][0]
            if self._can_tls or not (rules.get("tls") or rules.get("require_tls")):
                ports.append(port)
        return sorted(ports, key=lambda port: (port not in (25, 110), port))

    def begins_in_tls(self, port: int) -> bool:
        """Whether a listener speaks TLS from the first octet."""
        return self._listeners[port][0].get("tls", False)

    def admits(self, port: int, peer: str) -> bool:
        """Whether the listener's networks hold the client."""
        address = network(peer)[0]
        return any([_contains(known, address) for known in self._listeners[port][1]])

    def of(self, port: int, peer: str) -> Policy:
        """The rules of a session of `peer` (dotted IPv4) at a listener of `listeners`."""
        return Policy(self._listeners[port][0], self._exceptions(peer), self._can_tls,
                      self._private_logins)

    def sessions(self, peer: str, default: int) -> int:
        """How many sessions the client may have at once."""
        return self._exceptions(peer).get("sessions", default)

    def _exceptions(self, peer):
        address = network(peer)[0]
        exceptions = {}
        for _, known, rules in self._clients:
            if _contains(known, address):
                exceptions.update(rules)
        return exceptions
