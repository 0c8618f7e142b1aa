"""Our name in the LAN: multicast DNS (RFC 6762), of one name with one IPv4 address.

`Name` is octets in, octets out; `Responder` keeps it on a UDP socket of a W5500 (whose boards need
it: lwIP's images answer by themselves). DESIGN.md says what of the RFC is left out.
"""

import struct
import time

from micropython import const

from picopost import limits

PORT = const(5353)
GROUP = b"\xe0\0\0\xfb"  # 224.0.0.251

_HEADER = const(12)
_RESPONSE = const(0x8000)  # QR
_OTHERS = const(0x780F)  # opcode and response code: 0, or it is ignored (18.3, 18.11)
_ANSWER = const(0x8400)  # QR and AA
_A, _NSEC, _ANY = const(1), const(47), const(255)
_IN = const(1)
_TOP = const(0x8000)  # of a class: answer me alone (18.12); in a record: forget others (10.2)
_TTL = const(120)  # s (10)
_LEGACY_TTL = const(10)  # s (6.7)
_FIRST = b"\xc0\x0c"  # the name behind the header, in short (RFC 1035 4.1.4)
_ONLY_A = b"\xc0\x0c\0\1\x40"  # rdata of an NSEC: this name has type 1, and no other (6.1)
_POINTER = const(0xC0)
_JUMPS = const(4)  # in a name of ours: at each of its labels, and at its end
_LONGEST_LABEL = const(63)

_ADDRESS_WANTED = const(1)
_ANYTHING_WANTED = const(2)


def _word(message, at):
    return message[at] << 8 | message[at + 1]


def _behind(message, at):
    """Where a name ends that begins at `at`."""
    while True:
        octet = message[at]
        if octet >= _POINTER:
            return at + 2
        if octet > _LONGEST_LABEL:
            raise ValueError
        at += 1 + octet
        if not octet:
            return at


class Name:
    """`hostname`.local. `taken`: another device was heard to have it."""

    def __init__(self, hostname):
        label = hostname.lower().encode()
        self._octets = bytes((len(label),)) + label + b"\x05local\0"
        self.taken = False

    def _is_at(self, message, at):
        name = self._octets
        same = jumps = 0
        while True:
            octet = message[at]
            if octet >= _POINTER:
                to = (octet & ~_POINTER) << 8 | message[at + 1]
                jumps += 1
                if to >= at or jumps > _JUMPS:
                    return False
                at = to
                continue
            end = at + 1 + octet
            # Case is folded; a length is below the letters.
            if (octet > _LONGEST_LABEL
                    or bytes(message[at:end]).lower() != name[same : same + 1 + octet]):
                return False
            if not octet:
                return True
            same += 1 + octet
            at = end

    def answer(self, message, address, legacy):
        """What to say to `message`, octets or None.

        `address`: ours, 4 octets. `legacy`: it came from another port than 5353 (6.7). What is no
        message, or ends too early, is ignored. Reads limits.MDNS_RECORDS of it at most.
        """
        wanted, question = 0, b""
        try:
            flags = _word(message, 2)
            if flags & _OTHERS:
                return None
            at = _HEADER
            for _ in range(min(_word(message, 4), limits.MDNS_RECORDS)):
                ours = self._is_at(message, at)
                at = _behind(message, at) + 4
                kind, of = _word(message, at - 4), _word(message, at - 2)
                if ours and of & ~_TOP in (_IN, _ANY):
                    wanted |= _ADDRESS_WANTED if kind in (_A, _ANY) else _ANYTHING_WANTED
                    question = self._octets + struct.pack(">HH", kind, of & ~_TOP)
            for _ in range(min(_word(message, 6), limits.MDNS_RECORDS)):
                ours = self._is_at(message, at)
                at = _behind(message, at) + 10
                end = at + _word(message, at - 2)
                if ours and _word(message, at - 10) == _A and any(message[at - 6 : at - 2]):
                    same = message[at:end] == address
                    if flags & _RESPONSE:
                        self.taken = self.taken or not same
                    elif same and (_word(message, at - 6) or _word(message, at - 4) >= _TTL // 2):
                        wanted &= ~_ADDRESS_WANTED  # the one who asks knows it (7.1)
                at = end
        except (IndexError, ValueError):
            pass  # what was read until there counts
        if not wanted or flags & _RESPONSE:
            return None
        if legacy:
            return self._legacy(message[:2], question, address, wanted)
        return self.announcement(address, wanted)

    def announcement(self, address, wanted=_ADDRESS_WANTED):
        """That this is our address, and that the name has no other records (6.1, 6.2, 8.3)."""
        records = [struct.pack(">HHIH", _A, _IN | _TOP, _TTL, 4) + address,
                   struct.pack(">HHIH", _NSEC, _IN | _TOP, _TTL, 5) + _ONLY_A]
        if not wanted & _ADDRESS_WANTED:
            records.reverse()
        return (struct.pack(">HHHHHH", 0, _ANSWER, 0, 1, 0, 1) + self._octets + records[0] + _FIRST
                + records[1])

    def _legacy(self, ident, question, address, wanted):
        count = wanted & _ADDRESS_WANTED
        reply = ident + struct.pack(">HHHHH", _ANSWER, 1, count, 0, 0) + question
        if count:
            reply += _FIRST + struct.pack(">HHIH", _A, _IN, _LEGACY_TTL, 4) + address
        return reply


class Responder:
    """Answers for `hostname`.local on socket `number` of `chip`, a W5500, while nobody else needs
    that socket: whoever does just takes it. `name` is the Name.
    """

    def __init__(self, chip, number, hostname):
        self.name = Name(hostname)
        self._chip = chip
        self._number = number
        self._said = time.ticks_add(time.ticks_ms(), -limits.MDNS_PAUSE)  # to all, the last time
        self._patience = 0  # ticks_ms until which an answer to one alone may be on its way
        self.announce()

    def announce(self):
        """Say our address twice, a second apart: it is new, or the network may be (8.3, 8.4)."""
        self._left = 2
        self._member = False

    def _has_just_said(self):
        # Below 0 where it is so long ago that the ticks have gone round.
        return 0 <= time.ticks_diff(time.ticks_ms(), self._said) < limits.MDNS_PAUSE

    def step(self, addresses):
        """Do what is due; True: there was a message, and there may be another. The socket is free,
        or ours; `addresses`: as W5500.configure has them. OSError where the chip takes no command.
        """
        chip, number = self._chip, self._number
        registers = chip.look(number)
        if not self._member or not chip.in_group():
            # More is so long ago that the ticks have gone round.
            if (registers.tx_read != registers.tx_write and 0 < time.ticks_diff(
                    self._patience, time.ticks_ms()) <= limits.MDNS_ARP):
                return False  # an answer to one alone: the chip looks for its hardware address
            chip.join(number, GROUP, PORT)
            self._member = True
        elif registers.rx_size:
            message = chip.receive_datagram(number, limits.MDNS_MESSAGE)
            if message is not None:
                self._hear(message, addresses)
                return True
        if self._left and not self._has_just_said():
            self._left -= 1
            self._say(self.name.announcement(addresses[14:]))
        return False

    def _hear(self, message, addresses):
        sender = self._chip.sender
        port = _word(sender, 4)
        reply = self.name.answer(message, addresses[14:], port != PORT)
        if not reply:
            return
        if port == PORT:
            if not self._has_just_said():
                self._say(reply)
            return
        for own, mask, other in zip(addresses[14:], addresses[4:], sender):
            if (own ^ other) & mask:
                return  # not in our network (11)
        # To one alone the socket sends outside the group, and is back in it at a later step.
        self._member = False
        self._patience = time.ticks_add(time.ticks_ms(), limits.MDNS_ARP)
        self._chip.send_datagram(self._number, PORT, sender[:4], port, reply)

    def _say(self, octets):
        self._said = time.ticks_ms()
        self._chip.multicast(self._number, octets)
