"""Servers that are told of letters: a real MQTT broker, and HTTP servers of several tempers."""

from __future__ import annotations

import http.server
import json
import queue
import socket
import subprocess
import threading
import time
from pathlib import Path

from tests.e2e.clients import need

_PATIENCE = 60
USER, PASSWORD = "picopost", "s3cret words"


class Broker:
    """Mosquitto at 127.0.0.1, which wants USER and PASSWORD. `messages` are what a subscriber to
    all topics gets: (topic, payload). Use as a context manager."""

    def __init__(self, folder: Path, port: int):
        self.port = port
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        subprocess.run([need("mosquitto_passwd", "mosquitto"), "-b", str(passwords), USER,
                        PASSWORD], check=True)
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
            "user root\nlog_dest stderr\nlog_type all\n")
        self._log = (folder / "mosquitto.log").open("w")
        self._processes: list[subprocess.Popen] = []

    def __enter__(self) -> Broker:
        self._start([need("mosquitto", "mosquitto"), "-c", str(self._configuration)])
        until_listens(self.port)
        listener = self._start(
            [need("mosquitto_sub", "mosquitto-clients"), "-p", str(self.port), "-u", USER, "-P",
             PASSWORD, "-q", "1", "-t", "#", "-F", "%t %x"], stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=(listener.stdout,), daemon=True).start()
        end = time.monotonic() + _PATIENCE
        while "SUBACK" not in Path(self._log.name).read_text():
            assert time.monotonic() < end, "mosquitto_sub did not subscribe"
            time.sleep(0.01)
        return self

    def _start(self, command: list[str], stdout=None) -> subprocess.Popen:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or self._log,
                                   stderr=self._log)
        self._processes.append(process)
        return process

    def _read(self, lines) -> None:
        for line in lines:
            topic, _, payload = line.decode().strip().rpartition(" ")
            self.messages.put((topic, bytes.fromhex(payload)))

    def next(self) -> tuple[str, dict]:
        """Topic and JSON of the next message."""
        topic, payload = self.messages.get(timeout=_PATIENCE)
        return topic, json.loads(payload)

    def __exit__(self, *_) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(_PATIENCE)
        self._log.close()


def until_listens(port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < end, f"nobody listens at {port}"
            time.sleep(0.01)


class Web:
    """An HTTP server at 127.0.0.1. `requests` are (path, headers, body); `answers` the status codes
    that it gives one after the other, the last for ever."""

    def __init__(self, port: int, answers: tuple[int, ...] = (200,)):
        self.requests: queue.Queue = queue.Queue()
        answers = list(answers)
        requests = self.requests
        self.arrived = 0.0  # by time.monotonic(), the last one's beginning
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                web.arrived = time.monotonic()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                requests.put((self.path, dict(self.headers), body))
                self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def next(self) -> tuple[str, dict, dict]:
        """Path, headers and JSON of the next request."""
        path, headers, body = self.requests.get(timeout=_PATIENCE)
        return path, headers, json.loads(body)

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class BlackHole:
    """A server that accepts, and never says a word; with `drip` an octet now and then, for ever.
    `connections` counts."""

    def __init__(self, port: int, drip: bytes = b""):
        self._server = socket.create_server(("127.0.0.1", port))
        self._drip = drip
        self._over = threading.Event()
        self._taken: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.arrived: queue.Queue[int] = queue.Queue()

    @property
    def connections(self) -> int:
        return len(self._taken)

    def _accept(self) -> None:
        self._server.settimeout(0.05)
        while not self._over.is_set():
            try:
                peer, _ = self._server.accept()
            except TimeoutError:
                continue
            self._taken.append(peer)
            self.arrived.put(len(self._taken))
            if self._drip:
                thread = threading.Thread(target=self._drop, args=(peer,))
                self._threads.append(thread)
                thread.start()

    def _drop(self, peer: socket.socket) -> None:
        try:
            while not self._over.wait(0.2):
                peer.sendall(self._drip)
        except OSError:
            pass

    def __enter__(self) -> BlackHole:
        self._threads[0].start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for peer in (*self._taken, self._server):
            peer.close()
