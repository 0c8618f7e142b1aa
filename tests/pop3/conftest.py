"""A POP3 client of a dialogue that runs inside the MicroPython VM, without a network."""

from pathlib import Path

import pytest

from tests.support.vm import Vm


class Client:
    """Sends lines to the Session of vm_session.py and gets all that it answers."""

    def __init__(self, vm):
        self.vm = vm

    def connect(self, accounts: dict[bytes, tuple[bytes, list[int]]],
                hostname: str = "xyz.com", **policy) -> bytes:
        """A new session; returns its greeting. `accounts`: {name: (password, message sizes)}.

        `policy`: `rules` of the listener, `can_tls`, `private_logins`.
        """
        self.vm.exec(f"session = Session({hostname!r}, {accounts!r}, **{policy!r})")
        return self.vm.eval("session.dialogue.greeting()")

    def log_in(self, sizes: list[int]) -> None:
        self.connect({b"girl": (b"secret", sizes)})
        assert self.say(b"USER girl") == b"+OK send PASS\r\n"
        assert self.say(b"PASS secret").startswith(b"+OK maildrop")

    def say(self, line: bytes) -> bytes:
        return self.vm.eval(f"session.exchange({line!r})")

    def say_all(self, lines: list[bytes]) -> list[bytes]:
        return self.vm.eval(f"[session.exchange(line) for line in {lines!r}]")

    def dialogue(self, attribute: str):
        return self.vm.eval(f"session.dialogue.{attribute}")

    def maildrop(self, attribute: str):
        return self.vm.eval(f"session.maildrop.{attribute}")


@pytest.fixture(scope="package")
def client():
    with Vm() as vm:
        for name in ("message.py", "vm_session.py"):
            vm.exec(Path(__file__).with_name(name).read_text())
        yield Client(vm)
