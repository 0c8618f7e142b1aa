"""Loads a mail server with clients: a process of its own, so that it shares no lock with anybody.

    python sender.py '{"port": 2525, "kind": "each", "clients": 4, "count": 100, "size": 1024}'

prints what became of it as JSON. What the clients send is made before the clock starts, and one
epoll loop serves all of them: at the sizes of a bench the server is what takes the time (the
section `smtp` shows it with a server that keeps nothing). Commands are not pipelined, since
devices do not.

kinds: `each` sends one message a session, `one` all of a client's messages in one, `mixed` sends
small ones while `clients` others send large ones, `smtp` and `capa` open and close sessions that
carry no mail, `login` POP3 sessions with a login.
"""

from __future__ import annotations

import collections
import json
import select
import socket
import sys
import time

PATIENCE = 120.0  # s without any octet, then the bench fails
_CONNECT = object()
_RECEIVE = 1 << 16
_LINE = b"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZyBhbmQgYmFjay4gQWhh\r\n"
_DOTTED = b"." + _LINE[1:]


class Failed(Exception):
    """A server did not do what it must."""


def message(size: int, dotted_every: int = 0, subject: str = "bench") -> bytes:
    """A message of `size` octets in CRLF lines of 78; each `dotted_every`th begins with a dot."""
    head = b"From: a@abc.com\r\nTo: girl@xyz.com\r\nSubject: %s\r\n\r\n" % subject.encode()
    group = _DOTTED + _LINE * (dotted_every - 1) if dotted_every else _LINE
    left = size - len(head)
    body = (group * (left // len(group) + 1))[:max(0, left)]
    last = body.rfind(b"\r\n") + 2 if b"\r\n" in body else 0
    # What is left of the last line is filled up, so that the size is exact.
    rest = len(body) - last
    if rest >= 2:
        body = body[:last] + b"x" * (rest - 2) + b"\r\n"
    elif rest:
        body = body[:last - 2] + b"x\r\n"
    return head + body


def stuffed(text: bytes) -> bytes:
    """RFC 5321 4.5.2, with the end of the data."""
    text = text.replace(b"\r\n.", b"\r\n..")
    return (b"." + text if text.startswith(b".") else text) + b".\r\n"


class Load:
    """What all clients share: how much is left to do, and what was seen."""

    def __init__(self, job: dict):
        self.left = job.get("count", 1)
        self.recipient = job.get("recipient", "girl@xyz.com").encode()
        self.user = job.get("user", "girl").encode()
        self.password = job.get("password", "pw").encode()
        self.refused = 0
        self.done = 0
        self.large_done = 0
        self.latencies: list[float] = []

    def take(self) -> bool:
        """Whether there is one more to do, which is then the caller's."""
        self.left -= 1
        return self.left >= 0


def want(reply: bytes, code: bytes) -> None:
    if not reply.startswith(code):
        raise Failed(f"wanted {code.decode()}, got {reply[:200]!r}")


def greeting(load: Load):
    """Connect until somebody greets: 421, or a connection closed before, is tried again."""
    while True:
        reply = yield _CONNECT
        if reply.startswith((b"220", b"+OK")):
            return
        if reply and not reply.startswith((b"421", b"-ERR")):
            raise Failed(f"no greeting: {reply[:200]!r}")
        load.refused += 1


def envelope(load: Load):
    want((yield b"MAIL FROM:<a@abc.com>\r\n"), b"250")
    want((yield b"RCPT TO:<%s>\r\n" % load.recipient), b"250")
    want((yield b"DATA\r\n"), b"354")


def each(load: Load, data: bytes):
    """Deliveries, each in a session of its own; a latency is from the connection to the 250."""
    while load.take():
        start = time.perf_counter()
        yield from delivery(load, data)
        load.latencies.append(time.perf_counter() - start)
        load.done += 1
        want((yield b"QUIT\r\n"), b"221")


def delivery(load: Load, data: bytes):
    yield from greeting(load)
    want((yield b"EHLO abc.com\r\n"), b"250")
    yield from envelope(load)
    want((yield data), b"250")


def one(load: Load, data: bytes, count: int):
    """`count` deliveries in one session; a latency is from MAIL to the 250."""
    yield from greeting(load)
    want((yield b"EHLO abc.com\r\n"), b"250")
    for _ in range(count):
        start = time.perf_counter()
        yield from envelope(load)
        want((yield data), b"250")
        load.latencies.append(time.perf_counter() - start)
        load.done += 1
    want((yield b"QUIT\r\n"), b"221")


def background(load: Load, data: bytes):
    """Large deliveries until the small ones are done."""
    while load.left > 0:
        yield from delivery(load, data)
        load.large_done += 1
        want((yield b"QUIT\r\n"), b"221")


def foreground(load: Load, data: bytes):
    """Small deliveries; the large ones are on their way."""
    while load.large_done < 1:  # until the others are in full swing
        yield from delivery(load, data)
        load.done += 1
        want((yield b"QUIT\r\n"), b"221")
    yield from each(load, data)


def sessions(load: Load, command: bytes, ok: bytes, bye: bytes):
    while load.take():
        yield from greeting(load)
        want((yield command + b"\r\n"), ok)
        want((yield b"QUIT\r\n"), bye)
        load.done += 1


def smtp_sessions(load: Load):
    return sessions(load, b"NOOP", b"250", b"221")


def capa_sessions(load: Load):
    return sessions(load, b"CAPA", b"+OK", b"+OK")


def login_sessions(load: Load):
    while load.take():
        start = time.perf_counter()
        yield from greeting(load)
        want((yield b"USER %s\r\n" % load.user), b"+OK")
        want((yield b"PASS %s\r\n" % load.password), b"+OK")
        load.latencies.append(time.perf_counter() - start)
        want((yield b"NOOP\r\n"), b"+OK")
        want((yield b"QUIT\r\n"), b"+OK")
        load.done += 1


def complete(reply: bytearray, multiline: bool) -> bool:
    """Whether all of a reply is there: of SMTP, of POP3, and of the listing behind CAPA."""
    if not reply.endswith(b"\r\n"):
        return False
    if reply[:1] in (b"+", b"-"):
        return not multiline or reply[:1] == b"-" or reply.endswith(b"\r\n.\r\n")
    last = reply.rfind(b"\r\n", 0, len(reply) - 2) + 2 if reply.count(b"\r\n") > 1 else 0
    return reply[last + 3:last + 4] != b"-"


class Client:
    """One connection after another, driven by a generator of what to send."""

    def __init__(self, loop: Loop, dialogue):
        self._loop = loop
        self._dialogue = dialogue
        self.socket: socket.socket | None = None
        self._reply = bytearray()
        self._out = memoryview(b"")
        self._waits_to_send = False
        self._multiline = False
        self._advance(None)

    def _advance(self, reply: bytes | None) -> None:
        try:
            step = self._dialogue.send(reply)
        except StopIteration:
            self._close()
            self._loop.running -= 1
            return
        self._reply.clear()
        if step is _CONNECT:
            self._close()
            self._connect()
            return
        self._multiline = step == b"CAPA\r\n"
        self._out = memoryview(step)
        self._send()

    def _connect(self) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", self._loop.port))
        self._multiline = False
        self._loop.add(self)
        self._waits_to_send = False

    def _close(self) -> None:
        if self.socket:
            self._loop.remove(self)
            self.socket.close()
            self.socket = None

    def _send(self) -> None:
        try:
            while self._out:
                self._out = self._out[self.socket.send(self._out):]
        except BlockingIOError:
            pass
        except OSError as error:
            raise Failed(f"the connection broke while sending: {error}") from error
        if bool(self._out) != self._waits_to_send:
            self._waits_to_send = bool(self._out)
            self._loop.change(self, self._waits_to_send)

    def event(self, mask: int) -> None:
        """Something came, or there is room to send."""
        if mask & select.EPOLLOUT and self._out:
            self._send()
        if not mask & ~select.EPOLLOUT:
            return
        try:
            data = self.socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._reply += data
        if not data or complete(self._reply, self._multiline):
            self._advance(bytes(self._reply))


class Loop:
    """All clients of one load."""

    def __init__(self, port: int):
        self.port = port
        self.running = 0
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}

    def add(self, client: Client) -> None:
        self._clients[client.socket.fileno()] = client
        self._epoll.register(client.socket, select.EPOLLIN)

    def change(self, client: Client, to_send: bool) -> None:
        self._epoll.modify(client.socket,
                           select.EPOLLIN | (select.EPOLLOUT if to_send else 0))

    def remove(self, client: Client) -> None:
        self._epoll.unregister(client.socket)
        del self._clients[client.socket.fileno()]

    def run(self, dialogues: collections.abc.Iterable) -> float:
        """Seconds until the last dialogue has ended. Raises Failed."""
        dialogues = list(dialogues)
        self.running = len(dialogues)
        start = time.perf_counter()
        for dialogue in dialogues:
            Client(self, dialogue)
        while self.running:
            events = self._epoll.poll(PATIENCE)
            if not events:
                raise Failed(f"nothing came for {PATIENCE} s")
            for number, mask in events:
                client = self._clients.get(number)
                if client:
                    client.event(mask)
        return time.perf_counter() - start


def shares(count: int, clients: int) -> list[int]:
    """`count` in as equal parts as it can be."""
    return [(count + at) // clients for at in range(clients)]


def dialogues(job: dict, load: Load) -> list:
    """The clients' dialogues of a job."""
    clients, kind = job.get("clients", 1), job["kind"]
    empty = {"smtp": smtp_sessions, "capa": capa_sessions, "login": login_sessions}
    if kind in empty:
        return [empty[kind](load) for _ in range(clients)]
    data = stuffed(message(job["size"], job.get("dotted_every", 0)))
    if kind == "each":
        return [each(load, data) for _ in range(clients)]
    if kind == "one":
        return [one(load, data, count) for count in shares(load.left, clients) if count]
    if kind == "mixed":
        large = stuffed(message(job["large"]))
        return [background(load, large) for _ in range(clients)] + [foreground(load, data)]
    raise ValueError(kind)


def main() -> None:
    job = json.loads(sys.argv[1])
    load = Load(job)
    clients = dialogues(job, load)
    began = time.time()
    try:
        seconds = Loop(job["port"]).run(clients)
    except Failed as error:
        raise SystemExit(str(error)) from None
    print(json.dumps({"seconds": seconds, "refused": load.refused, "done": load.done,
                      "large_done": load.large_done, "latencies": load.latencies,
                      "began": began}))


if __name__ == "__main__":
    main()
