"""A 25 MB letter with a binary attachment, in the boards' heaps, and what it costs in memory."""

import hashlib
import random
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from tests.e2e.conftest import BOARDS
from tests.support.appliance import Appliance
from tests.support.wire import Pop3, send

PROBE = Path(__file__).parents[1] / "support" / "heap_probe.py"
_MAY_GROW = 8 * 1024


def letter(size: int) -> bytes:
    """A MIME message of about `size` octets with a binary attachment."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = f"about {size} octets"
    message["From"], message["To"] = "boy@abc.com", "girl@xyz.com"
    message.set_content("See the attachment.\n.\n..\nFrom here on it is binary.\n")
    noise = random.Random(size).randbytes(max(1, size * 73 // 100))
    message.add_attachment(noise, maintype="application", subtype="octet-stream",
                           filename="noise.bin")
    return message.as_bytes()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("board", BOARDS)
def test_25_mb_go_in_and_come_out(tmp_path, board, capsys):
    peaks = {}
    with Appliance(tmp_path / "card.img", board, main=PROBE) as appliance:
        for number, size in enumerate((1000, 25_000_000), 1):
            text = letter(size)
            assert send(appliance.smtp, text).startswith(b"250")
            peak_in = appliance.wait_for("closed", service="smtp")["heap_peak"]
            reader = Pop3(appliance.pop3, "girl", appliance.users["girl"])
            announced = reader.sizes()[number]
            digest, octets, head = reader.retrieve(number, skip=reader.trace_octets(number))
            reader.quit()
            peak_out = appliance.wait_for("closed", service="pop3")["heap_peak"]
            assert octets == announced
            assert digest == hashlib.sha256(text).hexdigest()
            peaks[size] = peak_in, peak_out
        assert not appliance.faults()
    with capsys.disabled():
        for size, (peak_in, peak_out) in peaks.items():
            print(f"\n{board}: peak of gc.mem_alloc() for a letter of {size} octets: "
                  f"{peak_in} coming in, {peak_out} going out (64-bit VM)", end="")
        print()
    small, large = peaks.values()
    assert large[0] - small[0] <= _MAY_GROW
    assert large[1] - small[1] <= _MAY_GROW
