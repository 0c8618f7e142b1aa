"""Programs with the files of firmware/docs: msmtp, and who calls it; Home Assistant's calls."""

from __future__ import annotations

import os
import smtplib
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.mime.text import MIMEText
from pathlib import Path

import pytest
import yaml

from tests.docs import pages
from tests.e2e import clients
from tests.support.appliance import Appliance

_PAGES = pages.read()
_CRON, _UPS, _HOME = (_PAGES[name] for name in ("cron", "ups", "home_assistant"))
SENDMAIL, MSMTPRC = "/usr/sbin/sendmail", "/etc/msmtprc"
# Sections of the pages.
PLAIN, TLS = "On the computer", "With a login and TLS"
APCUPSD, NUT = "On a Linux computer: apcupsd", "On a Linux computer: NUT"
# Where the packages of daemons are unpacked (`dpkg-deb -x`) and not installed: see .ci/run.
_UNPACKED = os.environ.get("PICOPOST_UNPACKED", "")


def packaged(path: str, package: str) -> str:
    """The file of a Debian package, installed or unpacked. Without it the test is skipped."""
    for root in ("", _UNPACKED):
        for place in (root + path, f"{root}/usr{path}"):
            if os.path.exists(place):
                return place
    if _UNPACKED:
        pytest.fail(f"{_UNPACKED} has no {path}")
    pytest.skip(f"install or unpack Debian's package {package}")


class Computer:
    """A Linux computer as far as it sends mail: files of the pages, in a folder of their own.

    Paths in them that the pages have files for are made those here, sendmail's too.
    """

    def __init__(self, folder: Path, appliance: Appliance, msmtprc: str):
        self.folder = folder
        self._appliance = appliance
        self._placed: dict[str, Path] = {}
        program = clients.need("msmtp", "msmtp")
        config = clients.secret_file(folder / "msmtprc", pages.here(msmtprc, appliance))
        self.place(SENDMAIL, f'#!/bin/sh\nexec {program} -C {config} "$@"\n')

    def place(self, path: str, text: str) -> Path:
        """Write the file that the page calls `path`; a script can be run."""
        local = self.folder / path.strip("/").replace("/", "_")
        local.write_text(self.here(text))
        local.chmod(0o755)
        self._placed[path] = local
        return local

    def here(self, text: str) -> str:
        """`text` with the paths of files that have been placed."""
        for path, local in self._placed.items():
            text = text.replace(path, str(local))
        return pages.here(text, self._appliance)

    def run(self, command: str, stdin: str = "", **environment: str) -> str:
        """What a shell prints for it; OSError unless it ends with 0."""
        done = subprocess.run(["sh", "-c", self.here(command)], cwd=self.folder, text=True,
                              env={**clients.environment(self.folder), **environment},
                              input=stdin, capture_output=True, timeout=clients.PATIENCE)
        if done.returncode:
            raise OSError(f"{command}: {done.returncode} {done.stderr}")
        return done.stdout

    def cron_mails(self, to: str) -> None:
        """As Debian's cron does (3.0pl1-162, its do_command.c)."""
        self.run(f"{SENDMAIL} -FCronDaemon -i -B8BITMIME -oem {to}",
                 f"From: root (Cron Daemon)\nTo: {to}\nSubject: Cron <root@linux> df -h /\n"
                 "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
                 "Content-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n"
                 "X-Cron-Env: <LOGNAME=root>\n\n.\n/dev/sda1  20G  19G  1G  95% /\n")


@contextmanager
def computer(appliance: Appliance, msmtprc: str = "") -> Iterator[Computer]:
    """With the page's msmtprc, or another."""
    with tempfile.TemporaryDirectory() as folder:
        yield Computer(Path(folder), appliance, msmtprc or _CRON.section(PLAIN)[MSMTPRC])


# --- cron -----------------------------------------------------------------------------------

def crontab() -> str:
    """The page's."""
    return _CRON.section(PLAIN)["crontab -e"]


def mailto() -> str:
    """To whom the page's crontab sends."""
    return crontab().split("\n", 1)[0].removeprefix("MAILTO=")


def cron_test(appliance: Appliance) -> None:
    with computer(appliance) as linux:
        linux.run(_CRON.worked["sh"])


def cron_with_mailto(appliance: Appliance) -> None:
    with computer(appliance) as linux:
        linux.cron_mails(mailto())


def cron_without_mailto(appliance: Appliance) -> None:
    with computer(appliance) as linux:
        linux.cron_mails("root")


def _msmtp(appliance: Appliance, msmtprc: str) -> None:
    with computer(appliance, msmtprc) as linux:
        linux.run(_CRON.worked["sh"])


def msmtp_in_tls(appliance: Appliance) -> None:
    _msmtp(appliance, _CRON.section(TLS)[MSMTPRC])


def msmtp_at_465(appliance: Appliance) -> None:
    text = _CRON.section(TLS)[MSMTPRC].replace("port 587", "port 465")
    _msmtp(appliance, text.replace("tls_starttls on", "tls_starttls off"))


def msmtp_without_fingerprint(appliance: Appliance) -> None:
    _msmtp(appliance, _CRON.section(TLS)[MSMTPRC].replace("tls_fingerprint FINGERPRINT", ""))


def msmtp_at_587_without_login(appliance: Appliance) -> None:
    _msmtp(appliance, _CRON.section(PLAIN)[MSMTPRC].replace("port 25", "port 587"))


# --- UPS ------------------------------------------------------------------------------------

NOTIFY, UPSMON = "/usr/local/sbin/ups-notify", "/etc/nut/upsmon.conf"
APC_MAIL, APC_CONFIG = "/usr/local/sbin/apc-mail", "/etc/apcupsd/config"


@contextmanager
def with_nut(appliance: Appliance) -> Iterator[Computer]:
    with computer(appliance) as linux:
        linux.place(NOTIFY, _UPS.section(NUT)[NOTIFY])
        yield linux


def upsmon() -> str:
    """The page's lines for its configuration."""
    return _UPS.section(NUT)[UPSMON]


def nut_test(appliance: Appliance) -> None:
    with with_nut(appliance) as linux:
        linux.run(_UPS.section(NUT)["sh"])


def upsmon_notifies(appliance: Appliance) -> None:
    """As upsmon does (upsmon(8), "NOTIFY EVENTS"), where the page's lines say EXEC."""
    lines = [line.split() for line in upsmon().splitlines()]
    command, = (words[1] for words in lines if words[0] == "NOTIFYCMD")
    flags = {words[1]: words[2].split("+") for words in lines if words[0] == "NOTIFYFLAG"}
    assert all("EXEC" in flag for flag in flags.values())
    with with_nut(appliance) as linux:
        linux.run(f'{command} "UPS ups@localhost on battery"', UPSNAME="ups@localhost",
                  NOTIFYTYPE="ONBATT")


# What /etc/apcupsd/apccontrol of 3.14.14 does before it calls a script of its folder, and what
# Debian's onbattery does.
_APCCONTROL = """
export SYSADMIN=root
export APCUPSD_MAIL="mail"
. /etc/apcupsd/config
MSG="linux UPS ups Power Failure !!!"
( echo "$MSG"; echo " " ) | $APCUPSD_MAIL -s "$MSG" $SYSADMIN
"""


@contextmanager
def with_apcupsd(appliance: Appliance) -> Iterator[Computer]:
    with computer(appliance) as linux:
        linux.place(APC_MAIL, _UPS.section(APCUPSD)[APC_MAIL])
        linux.place(APC_CONFIG, _UPS.section(APCUPSD)[APC_CONFIG])
        yield linux


def apcupsd_notifies(appliance: Appliance) -> None:
    with with_apcupsd(appliance) as linux:
        linux.run(_APCCONTROL)


def apcupsd_without_configuration(appliance: Appliance) -> None:
    """The same with the SYSADMIN that apccontrol has of its own."""
    with with_apcupsd(appliance) as linux:
        linux.run(_APCCONTROL.replace(". /etc/apcupsd/config", f"APCUPSD_MAIL={APC_MAIL}"))


def apccontrol(appliance: Appliance) -> None:
    """The page's command, with Debian's scripts."""
    folder = Path(packaged("/etc/apcupsd/apccontrol", "apcupsd")).parent
    status = packaged("/sbin/apcaccess", "apcupsd")
    with with_apcupsd(appliance) as linux:
        scripts = linux.folder / "etc_apcupsd"
        for name in ("apccontrol", "onbattery"):
            linux.place(f"/etc/apcupsd/{name}", (folder / name).read_text().replace(
                "SCRIPTDIR=/etc/apcupsd\n", f"SCRIPTDIR={scripts}\n").replace(
                "/sbin/apcaccess", status))
        scripts.mkdir()
        for name in ("apccontrol", "onbattery", "config"):
            (scripts / name).symlink_to(linux.folder / f"etc_apcupsd_{name}")
        linux.run(_UPS.section(APCUPSD)["sh"])


# --- Home Assistant -------------------------------------------------------------------------

CONFIGURATION = "configuration.yaml"
# PLATFORM_SCHEMA of its smtp/notify.py: the defaults of what may be left out.
_DEFAULTS = {"port": 587, "encryption": "starttls", "verify_ssl": True, "timeout": 5}


def notifier(appliance: Appliance, section: str) -> dict:
    """The one notifier of a section of the page, as Home Assistant reads it."""
    text = pages.here(_HOME.section(section)[CONFIGURATION], appliance)
    notify, = yaml.safe_load(text)["notify"]
    return notify


def home_assistant_sends(appliance: Appliance, config: dict) -> None:
    """What the integration `smtp` does for the page's action: it tries twice, and asks a last time
    to say QUIT.
    """
    action = yaml.safe_load(_HOME.worked["yaml"])
    assert action["action"] == f"notify.{config['name']}"
    config = {**_DEFAULTS, "port": appliance.ports[587], **config}
    assert config["platform"] == "smtp" and config["encryption"] in ("tls", "starttls", "none")
    for address in (config["sender"], config["recipient"]):
        assert "." in address.rpartition("@")[2]  # or voluptuous' Email() would refuse it
    message = MIMEText(action["data"]["message"])
    message["Subject"] = action["data"]["title"]
    message["To"] = config["recipient"]
    message["From"] = f"{config.get('sender_name', '')} <{config['sender']}>"
    message["X-Mailer"] = "Home Assistant"
    client = _home_assistant_connects(config)
    refused = None
    for _ in range(2):
        try:
            client.sendmail(config["sender"], [config["recipient"]], message.as_string())
            refused = None
            break
        except smtplib.SMTPException as error:
            refused = error
            client.quit()
            client = _home_assistant_connects(config)
    client.quit()
    if refused:
        raise refused


def _home_assistant_connects(config: dict) -> smtplib.SMTP:
    context = ssl.create_default_context() if config["verify_ssl"] else None
    more = {"timeout": clients.PATIENCE, "local_hostname": "homeassistant"}
    if config["encryption"] == "tls":
        client = smtplib.SMTP_SSL(config["server"], config["port"], context=context, **more)
    else:
        client = smtplib.SMTP(config["server"], config["port"], **more)
    client.ehlo_or_helo_if_needed()
    if config["encryption"] == "starttls":
        client.starttls(context=context)
        client.ehlo()
    if config.get("username") and config.get("password"):
        client.login(config["username"], config["password"])
    return client


def home_assistant(appliance: Appliance) -> None:
    home_assistant_sends(appliance, notifier(appliance, "On the device"))


def home_assistant_in_tls(appliance: Appliance) -> None:
    home_assistant_sends(appliance, notifier(appliance, TLS))


def home_assistant_at_465(appliance: Appliance) -> None:
    config = {**notifier(appliance, TLS), "port": appliance.ports[465], "encryption": "tls"}
    home_assistant_sends(appliance, config)


def home_assistant_verifies(appliance: Appliance) -> None:
    config = notifier(appliance, TLS)
    del config["verify_ssl"]
    home_assistant_sends(appliance, config)


def home_assistant_without_port(appliance: Appliance) -> None:
    config = notifier(appliance, "On the device")
    del config["port"]
    home_assistant_sends(appliance, config)


def home_assistant_to_somebody(appliance: Appliance) -> None:
    home_assistant_sends(appliance, {**notifier(appliance, "On the device"),
                                     "recipient": "somebody@example.com"})


# By page, section and name of the block: what brings one letter to alice with it.
FILES: dict[tuple[str, str, str], Callable[[Appliance], None]] = {
    ("cron", PLAIN, MSMTPRC): cron_with_mailto,
    ("cron", PLAIN, "crontab -e"): cron_with_mailto,
    ("cron", TLS, MSMTPRC): msmtp_in_tls,
    ("ups", NUT, UPSMON): upsmon_notifies,
    ("ups", NUT, NOTIFY): upsmon_notifies,
    ("ups", NUT, "sh"): nut_test,
    ("ups", APCUPSD, APC_CONFIG): apcupsd_notifies,
    ("ups", APCUPSD, APC_MAIL): apcupsd_notifies,
    ("ups", APCUPSD, "sh"): apccontrol,
    ("home_assistant", "On the device", CONFIGURATION): home_assistant,
    ("home_assistant", TLS, CONFIGURATION): home_assistant_in_tls,
}
