"""A W5500 on a LAN of its own, for the tests of this directory."""

import pytest

from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.chips.w5500_registers import IR_CON, Status
from host_tools.emulator.lan import Lan
from tests.chips.w5500_host import Host, client, free_offset


@pytest.fixture
def lan():
    lan = Lan(free_offset())
    yield lan
    lan.close()
    assert lan.port_error is None


@pytest.fixture
def chip(lan):
    return W5500(lan, timeout_polls=50)


@pytest.fixture
def host(chip):
    return Host(chip)


@pytest.fixture
def peer(host, lan):
    """A device connected to socket 0."""
    host.listen(0)
    with client(lan) as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        assert host.interrupts(0) == IR_CON
        yield peer
