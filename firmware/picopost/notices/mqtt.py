"""One message to an MQTT broker, version 3.1.1 (OASIS, mqtt-v3.1.1-os), at least once (QoS 1)."""

import errno

from micropython import const

from picopost.notices.http import Refused, read

_CONNECT = const(0x10)
_CONNACK = const(0x20)
_PUBLISH = const(0x32)  # QoS 1; DUP is 0: each try is a session of its own (3.3.1.1)
_PUBACK = const(0x40)
_DISCONNECT = b"\xe0\0"
_PROTOCOL = b"\0\4MQTT\4"  # 3.1.2.1, 3.1.2.2
_CLEAN, _USER, _PASSWORD = const(0x02), const(0x80), const(0x40)  # 3.1.2.3
_KEEP_ALIVE = b"\0\x1e"  # s: a broker forgets a client that is gone (3.1.2.10)
_IDENTIFIER = b"\0\1"  # of the packet
_MOST_IDENTIFIER = const(23)  # of the client: what each broker has to take (3.1.3.1)
_UNAVAILABLE = const(3)
# 3.2.2.3
_REASONS = ("", "it does not speak MQTT 3.1.1", "it refuses the host name as client id",
            "it is not available", "wrong user or password", "this user may not connect")


def _packet(kind, body):
    """With its remaining length in 7 bits an octet (2.2.3)."""
    length = len(body)
    head = bytearray((kind,))
    while length > 0x7F:
        head.append(0x80 | length & 0x7F)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _field(text):
    """A string with its length (1.5.3)."""
    octets = text.encode()
    return bytes((len(octets) >> 8, len(octets) & 0xFF)) + octets


async def publish(connection, client, rule, payload):
    """Returns when the broker has it. `rule`: topic, perhaps user and password. OSError, or Refused
    where it would be in vain again.
    """
    flags = _CLEAN
    login = _field(client[:_MOST_IDENTIFIER])
    if "user" in rule:
        flags |= _USER
        login += _field(rule["user"])
    if "password" in rule:
        flags |= _PASSWORD
        login += _field(rule["password"])
    await connection.write(_packet(_CONNECT, _PROTOCOL + bytes((flags,)) + _KEEP_ALIVE + login))
    answer = bytearray(4)
    await read(connection, answer)
    if answer[:2] != bytes((_CONNACK, 2)):
        raise Refused("it does not speak MQTT", "see server and port in the setting notices")
    code = answer[3]
    if code == _UNAVAILABLE:
        raise OSError(errno.EIO, _REASONS[code])
    if code:
        raise Refused(_REASONS[code] if code < len(_REASONS) else "CONNACK %d" % code,
                      "see user and password in the setting notices, and the broker's log")
    await connection.write(_packet(_PUBLISH, _field(rule["topic"]) + _IDENTIFIER + payload))
    await read(connection, answer)
    if answer[0] != _PUBACK or answer[2:] != _IDENTIFIER:
        raise OSError(errno.EIO, "it does not acknowledge")
    await connection.write(_DISCONNECT)
