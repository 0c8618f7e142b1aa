"""Plain SMTP and POP3 clients that stream: exact octets, no library between test and wire."""

from __future__ import annotations

import hashlib
import socket
import ssl


class Lines:
    """A connection to 127.0.0.1 that speaks in CRLF lines; everything within `timeout` s.

    `receive_buffer`: octets that the kernel keeps for it, where it is to keep few.
    """

    def __init__(self, port: int, timeout: float = 60, source: str = "127.0.0.1",
                 receive_buffer: int | None = None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 16)

    def line(self) -> bytes:
        """The next line with its end; b"" at the end of the stream."""
        return self.file.readline()

    def reply(self) -> bytes:
        """The next SMTP reply, all its lines."""
        reply = b""
        while True:
            line = self.line()
            reply += line
            if line[3:4] != b"-":
                return reply

    def say(self, command: bytes) -> bytes:
        """Send one command line, return its SMTP reply."""
        self.socket.sendall(command + b"\r\n")
        return self.reply()

    def start_tls(self) -> None:
        """The client's handshake, with any certificate. All that was said has to be read."""
        self.file.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb", 1 << 16)

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def stuffed(text: bytes) -> bytes:
    """RFC 5321 4.5.2 for a text of CRLF lines."""
    text = text.replace(b"\r\n.", b"\r\n..")
    return b"." + text if text.startswith(b".") else text


def send(port: int, text: bytes, *, sender: bytes = b"boy@abc.com",
         to: tuple[bytes, ...] = (b"girl@xyz.com",)) -> bytes:
    """Deliver `text` (CRLF lines) and return the reply behind the data, or the refusing one."""
    with Lines(port) as smtp:
        smtp.reply()
        for command in (b"EHLO abc.com", b"MAIL FROM:<%s>" % sender,
                        *(b"RCPT TO:<%s>" % address for address in to), b"DATA"):
            reply = smtp.say(command)
            if reply[0:1] not in b"23":
                return reply
        smtp.socket.sendall(stuffed(text) + b".\r\n")
        reply = smtp.reply()
        smtp.say(b"QUIT")
        return reply


class Pop3(Lines):
    """A logged-in POP3 session."""

    def __init__(self, port: int, user: str, password: str, **more):
        super().__init__(port, **more)
        self.ok()
        self.command(b"USER " + user.encode())
        self.command(b"PASS " + password.encode())

    def ok(self) -> bytes:
        line = self.line()
        assert line.startswith(b"+OK"), line
        return line

    def command(self, line: bytes) -> bytes:
        self.socket.sendall(line + b"\r\n")
        return self.ok()

    def listing(self, command: bytes) -> dict[int, bytes]:
        """A multi-line answer of "number value" lines."""
        self.command(command)
        entries = {}
        while (line := self.line()) != b".\r\n":
            number, value = line.split()
            entries[int(number)] = value
        return entries

    def sizes(self) -> dict[int, int]:
        return {number: int(value) for number, value in self.listing(b"LIST").items()}

    def uids(self) -> dict[int, bytes]:
        return self.listing(b"UIDL")

    def retrieve(self, number: int, skip: int = 0) -> tuple[str, int, bytes]:
        """RETR: (SHA-256 of the text behind the first `skip` octets, all octets, first 4 KB)."""
        self.command(b"RETR %d" % number)
        digest, octets, head = hashlib.sha256(), 0, b""
        while (line := self.line()) != b".\r\n":
            assert line.endswith(b"\r\n"), "the connection ended in the middle of a message"
            if line.startswith(b"."):
                line = line[1:]
            if octets < 4096:
                head += line
            if octets + len(line) > skip:
                digest.update(line[max(0, skip - octets):])
            octets += len(line)
        return digest.hexdigest(), octets, head

    def text(self, number: int) -> bytes:
        """RETR: the whole text; for small messages."""
        self.command(b"RETR %d" % number)
        text = b""
        while (line := self.line()) != b".\r\n":
            assert line.endswith(b"\r\n"), "the connection ended in the middle of a message"
            text += line[1:] if line.startswith(b".") else line
        return text

    def trace_octets(self, number: int) -> int:
        """Length of the lines that the appliance put before the message: up to Received's end."""
        self.command(b"TOP %d 0" % number)
        octets, received = 0, False
        counting = True
        while (line := self.line()) != b".\r\n":
            if counting and received and not line.startswith(b"\t"):
                counting = False
            if counting:
                octets += len(line)
                received = received or line.startswith(b"Received:")
        return octets

    def take_all(self) -> list[bytes]:
        """The texts of all messages, which are deleted; and QUIT. For small ones."""
        texts = []
        for number in self.sizes():
            texts.append(self.text(number))
            self.command(b"DELE %d" % number)
        self.quit()
        return texts

    def quit(self) -> None:
        self.command(b"QUIT")
        self.close()
