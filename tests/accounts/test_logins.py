"""What a login costs, and what it costs others: counted in SHA-256 calls inside the VM.

An RP2040 takes 250 us for one of PBKDF2's (96 octets, at 125 MHz), so 200 are the 50 ms that
nobody may be held up. Nothing here looks at a clock.
"""

import hashlib
from pathlib import Path

import pytest

from tests.support.vm import Vm

PASSWORDS = {"girl": b"pw", "boy": b"s3cret", "cat": b"x" * 65}
HASH = 250e-6  # s
BOUND = 0.05  # s


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=600) as machine:
        machine.exec(Path(__file__).with_name("vm_logins.py").read_text())
        yield machine


@pytest.mark.parametrize("iterations", [1, 2, 15, 16, 17, 400])
@pytest.mark.parametrize("password", [b"pw", b"x" * 64, b"x" * 65])
def test_it_is_pbkdf2(vm, password, iterations):
    """Whatever is computed beyond its own count."""
    salt = bytes(range(16))
    expected = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    for total in (0, iterations, 450):
        assert vm.eval(f"asyncio.run(accounts.derive({password!r}, {salt!r}, {iterations}, "
                       f"{total}))") == expected


@pytest.mark.parametrize("iterations", [(400,), (100, 400, 250), (400, 16, 1000)])
def test_every_login_costs_the_same(vm, iterations):
    vm.exec(f"known = made({PASSWORDS!r}, {iterations!r})")
    logins = [(name, password, name in PASSWORDS and PASSWORDS[name] == password)
              for name in ("girl", "boy", "cat", "nobody", None)
              for password in (b"pw", b"s3cret", b"", b"y" * 64)]
    costs = set()
    for name, password, right in logins:
        found, *cost = vm.eval(f"cost(known, {name!r}, {password!r})")
        assert found == right, (name, password)
        costs.add(tuple(cost))
    print(f"{iterations} iterations: (hashes, turns) of {len(logins)} logins are {costs}")
    assert len(costs) == 1
    [(hashes, turns)] = costs
    # One more each for HMAC's two keys; a turn between slices of 16 iterations.
    assert hashes == 2 * max(iterations)
    assert turns == (max(iterations) - 1) // 16
    found, *cost = vm.eval(f"cost(known, 'cat', {PASSWORDS['cat']!r})")
    assert found and cost == [hashes + 1, turns]  # a long password is hashed first, whose ever


@pytest.mark.parametrize("port, command, answer", [(110, b"CAPA\r\n", b"+OK"),
                                                   (25, b"NOOP\r\n", b"250")])
def test_others_are_answered_while_ten_log_in(vm, port, command, answer):
    """The command comes in the midst of a slice; every 131 hashes, so at all places of one."""
    vm.exec(f"known = made({PASSWORDS!r}, (400, 200, 100))")
    waits, total, replies, last = vm.eval(f"crowd(known, 10, {port}, {command!r}, 131)")
    print(f"port {port}: {len(waits)} commands while ten logins take {total} hashes "
          f"({total * HASH:.1f} s): answered after {min(waits)} to {max(waits)} hashes, "
          f"{max(waits) * HASH * 1000:.1f} ms at most, {sum(waits) / len(waits):.0f} on average")
    assert total == 10 * 800
    assert len(waits) == total // 131
    assert max(waits) * HASH < BOUND
    assert last.startswith(answer)
    # There is no card: the right ones are let in and then find no mailbox.
    assert [b"-ERR [AUTH]" in reply for reply in replies] == [True, False] * 5


def test_who_came_first_is_next(vm):
    vm.exec(f"known = made({PASSWORDS!r}, (400,))")
    assert vm.eval("order_of(known, 10)") == list(range(10))


@pytest.mark.parametrize("after", [1, 3, 20])
def test_a_login_that_is_cancelled_leaves_the_turn_to_the_next(vm, after):
    vm.exec(f"known = made({PASSWORDS!r}, (400,))")
    hashing, waiting = vm.eval(f"cancelled(known, {after})")
    assert hashing == (["cancelled", True, False, True], False)
    assert waiting == ([False, "cancelled", False, True], False)


def test_a_login_has_time_to_wait_for_all_others(vm):
    """All seats at once, of accounts that cost the most, on a board that is busy otherwise."""
    slices = vm.eval("-(-limits.MAX_ITERATIONS // 16)")
    seats = vm.eval("max(limits.LWIP_SESSIONS, limits.WIZNET_SESSIONS)")
    needed = seats * slices * (32 * HASH + BOUND) * 1000
    assert needed < vm.eval("limits.LOGIN_TIME")
