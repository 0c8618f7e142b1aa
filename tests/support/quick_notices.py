# Runs in the VM in main.py's place: the same appliance, which does not wait as long before it tries
# a server again, gives a letter's notices up sooner, and says what the LED tells of mail.
import gc

gc.threshold(16_384)  # as main.py

from picopost import limits  # noqa: E402

limits.NOTICE_PAUSE = 50
limits.NOTICE_RETRY = 200
limits.NOTICE_MAX_RETRY = 800
limits.NOTICE_KEPT = 8_000
limits.NOTICE_CONNECT = 1_000
limits.NOTICE_TIME = 1_500

from picopost import appliance, event_log, status_led  # noqa: E402


class ToldLed(status_led.StatusLed):
    """An event `led` for each change of what it tells about mail."""

    def _told(self, mail):
        if mail != getattr(self, "_mail", False):
            event_log.log("led", mail="yes" if mail else "no")
        self._mail = mail

    mail = property(lambda self: self._mail, _told)


status_led.StatusLed = ToldLed
appliance.main()
