"""Debian's cron and NUT themselves, with the files of their pages."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs import programs
from tests.docs.conftest import collect
from tests.e2e import clients

# Mounts that nobody else sees. An empty /etc/cron.d, so that no job of this machine runs.
_CRON = """
set -e
mount -t tmpfs none /var/spool
mount -t tmpfs none /run
mount -t tmpfs none /etc/cron.d
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
mkdir -p /var/spool/cron/crontabs
cp "$CRONTAB" /var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
mount --bind "$SENDMAIL" /usr/sbin/sendmail
exec "$CRON" -f
"""


@contextmanager
def _running(command: list[str], **environment: str) -> Iterator[None]:
    """While it runs; it is killed then."""
    process = subprocess.Popen(command, env={**os.environ, **environment},
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None, f"{command} ended with {process.returncode}"
    finally:
        process.kill()
        process.wait(clients.PATIENCE)


def test_cron(appliance):
    """The page's crontab, with a time that comes at once. All of its processes end with it."""
    cron = programs.packaged("/usr/sbin/cron", "cron")
    unshare = clients.need("unshare", "util-linux")
    if os.geteuid() or not os.path.exists(programs.SENDMAIL) or not os.path.isdir("/etc/cron.d"):
        pytest.skip("wants root, and a /usr/sbin/sendmail and /etc/cron.d to put others over")
    with programs.computer(appliance) as linux:
        text = programs.crontab()
        text, times = re.subn(r"^\d+ \d+ \* \* \*", "@reboot", text, flags=re.MULTILINE)
        assert times == 1
        crontab = linux.folder / "crontab"
        crontab.write_text(text)
        sendmail = linux.here(programs.SENDMAIL)
        with _running([unshare, "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _CRON],
                      CRON=cron, CRONTAB=str(crontab), SENDMAIL=sendmail):
            appliance.wait_for("accepted", mailbox="alice", sender="linux@picopost.local")
            appliance.wait_for("closed", service="smtp")
    letter, = collect(appliance)
    assert b"X-Cron-Env: <MAILTO=alice@picopost.local>\r\n" in letter
    assert re.search(rb"\r\nSubject: Cron <root@\S+> df -h /\r\n", letter)
    assert b"\r\n\r\nFilesystem " in letter


def test_upsmon(appliance):
    """The page's lines in a configuration whose UPS does not answer, which it tells at once."""
    upsmon = programs.packaged("/lib/nut/upsmon", "nut-client")
    libraries = Path(upsmon).parents[1] / "x86_64-linux-gnu"
    with programs.with_nut(appliance) as linux:
        config = linux.folder / "upsmon.conf"
        config.write_text("MONITOR ups@127.0.0.1:1 1 monitor secret secondary\nMINSUPPLIES 1\n"
                          'SHUTDOWNCMD "/bin/false"\n' + linux.here(programs.upsmon()))
        config.chmod(0o600)
        folder = str(linux.folder)
        with _running([upsmon, "-F", "-p"], LD_LIBRARY_PATH=str(libraries), NUT_CONFPATH=folder,
                      NUT_STATEPATH=folder, NUT_ALTPIDPATH=folder):
            appliance.wait_for("accepted", mailbox="alice", sender="linux@picopost.local")
            appliance.wait_for("closed", service="smtp")
    letter, = collect(appliance)
    assert b"\r\nSubject: UPS ups@127.0.0.1:1: COMMBAD\r\n" in letter
    assert letter.endswith(b"\r\n\r\nCommunications with UPS ups@127.0.0.1:1 lost\r\n")
