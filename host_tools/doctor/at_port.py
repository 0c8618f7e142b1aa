"""What a board says of itself at its USB port: while it serves, and at its prompt."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field

from host_tools import accounts, boards, events, firmware_build
from host_tools.deploy import checked
from host_tools.device import ask, flash_files, kind
from host_tools.device.prompt import Prompt
from host_tools.doctor import complaints, in_network
from host_tools.doctor.finding import NOTE, OK, PROBLEM, Finding
from host_tools.errors import UserError

_CLOCK_OFF = 60  # s that its clock may differ from this computer's
_WEAK = -75  # dBm: below it Wi-Fi begins to lose packets
_LITTLE = 10 << 20  # octets free on the card, of which 1 MB is kept
AGAIN = ("close other programs that have its port, and look again in a minute; if it comes back, "
         "plug it in again")
_MORE_HEAP = "an image with the firmware in it (README) leaves more"
_FIRST_USER = "me"  # whom a board without accounts makes (firmware/picopost/enrolment.py)
_LINKS = {"wifi": "Wi-Fi", "wiznet": "Ethernet", "wiznet5k": "Ethernet"}


@dataclass
class Told:
    """What a board that runs the firmware has said: `parts` of its `status` by name, all of those
    of one name; `events` of its log. `findings` are what it could not be asked.
    """

    parts: dict[str, list[dict]] = field(default_factory=dict)
    events: list[dict] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def part(self, name: str) -> dict:
        """The one of that name, {} where there is none."""
        return self.parts.get(name, [{}])[0]

    @property
    def ports(self) -> dict[str, int]:
        """{service: port} of what it serves."""
        return {each["service"]: each["port"] for each in self.parts.get("service", [])}

    @property
    def fingerprint(self) -> str | None:
        """Of its certificate; "": it has none, None: it does not say."""
        tls = self.part("tls")
        return tls.get("fingerprint", "") if tls else None


def ask_all(device: str) -> Told:
    """Ask a board at a serial port. Raises ask.AtPrompt where its firmware does not run, UserError
    where it does not answer.
    """
    told = Told()
    for command in ("status", "status card", "log"):
        try:
            for answer in ask.answers(device, command):
                event = answer if isinstance(answer, dict) else (
                    events.parse(answer) if isinstance(answer, str) else None)
                if event and command == "log":
                    told.events.append(event)
                elif event and (command, event.get("part")) != ("status card", "card"):
                    told.parts.setdefault(str(event.get("part")), []).append(event)
        except ask.Refused as error:
            if command != "status card" or told.part("card").get("state") == "ok":
                told.findings.append(Finding(
                    "board", PROBLEM, f"`{command}` at its console: {error}",
                    _MORE_HEAP if "the heap" in str(error) else
                    "report it with what `make logs` shows"))
        except ask.AtPrompt:
            raise
        except UserError as error:
            if not told.parts:
                raise
            told.findings.append(Finding("board", PROBLEM, str(error), AGAIN))
            break
    return told


def judge(told: Told, device: str) -> list[Finding]:
    """What is to be said of it."""
    findings = list(told.findings)
    for look in (_board, _firmware, _card, _network, _time, _tls, _mailboxes, _devices):
        findings += look(told, device)
    findings += complaints.judge(told.events, _past(told))
    # What the log tells may be what its state tells, in the same words.
    return list(dict.fromkeys(findings))


def _past(told: Told) -> set[str]:
    """Names of events of the log whose trouble is over, as its state shows, or is told by that."""
    past = set()
    card, network = told.part("card"), told.part("network")
    if card.get("state") == "ok":
        past |= {"no_card", "mailbox_closed"}
        if card.get("free", 0) >= _LITTLE:
            past.add("card_full")
    if network.get("connected") == "yes":
        past |= {"link_failed", "link_down"}
        if any(event.get("address") not in (None, network.get("address"))
               for event in told.events if event["event"] == "fallback_address"):
            past.add("fallback_address")
    if told.part("time").get("set") == "yes":
        past.add("no_time")
    return past


def _complains(told: Told, *names: str) -> bool:
    """Whether its log tells of such a trouble, which is not over."""
    return bool(complaints.judge([event for event in told.events
                                  if event["event"] not in complaints.NAMES - set(names)]))


def _board(told: Told, device: str) -> list[Finding]:
    board, heap = told.part("board"), told.part("heap")
    if not board:
        return []
    name, number = str(board["board"]), str(board["image"])
    findings = [Finding("board", OK, f"{name} at {device}, MicroPython {number}, up for "
                        f"{_span(board['up'])}")]
    try:
        definition = boards.load(name)
    except boards.BoardError:
        definition = None  # it is somebody's own
    if definition and not boards.fits(definition, number):
        findings.append(Finding("board", NOTE, f"{name} was not tried with MicroPython {number}",
                                f"`make flash` with one of {definition['image']['versions']}"))
    if heap and heap["free"] * 10 < heap["octets"]:
        findings.append(Finding("board", NOTE, f"its heap is nearly full: {heap['free']} of "
                                f"{heap['octets']} octets are free", _MORE_HEAP))
    return findings


def _firmware(told: Told, device: str) -> list[Finding]:
    board = told.part("board")
    found, here = str(board.get("firmware", "")), firmware_build.stamp()
    if not board:
        return []
    if found == here:
        return [Finding("firmware", OK, f"version {found}, as it lies here")]
    if not found:
        return [Finding("firmware", NOTE, "it does not say its version",
                        "`make deploy` brings the one that lies here")]
    return [Finding("firmware", NOTE, f"version {found}; here lies {here}",
                    "`make deploy` brings that one; where the firmware is in the image (README) "
                    "first `make flash UF2=` an image of it; settings, accounts and mail stay")]


def _card(told: Told, device: str) -> list[Finding]:
    card, read = told.part("card"), told.part("card_read")
    if not card:
        return []
    if card["state"] == "missing" and not card.get("why"):
        return [Finding("card", NOTE, "it is just being looked at", "look again")]
    if card["state"] != "ok":
        return complaints.judge([{"event": "no_card", "why": card.get("why", "")}])
    text = f"{card['type']}, {_size(card['octets'])}, {_size(card.get('free', 0))} free"
    if read:
        text += f", reads {read['kb_per_second']} KB/s, all CRCs right"
    findings = [Finding("card", OK, text)]
    if card.get("write_protected") == "yes":
        findings += complaints.judge([{"event": "card_fault", "error": "write protected"}])
    if card.get("free", 0) < _LITTLE:
        findings.append(Finding("card", NOTE, "it is nearly full",
                                "fetch and delete mail, or let old mail go by itself (setting "
                                "`mailboxes`)"))
    if card["errors"]:
        findings.append(Finding("card", NOTE, f"{card['errors']} transfers failed, "
                                f"{card['healed']} tries again healed them; the last one: "
                                f"{card.get('last_error', '')}", complaints.WIRES))
    return findings


def _network(told: Told, device: str) -> list[Finding]:
    network = told.part("network")
    if not network:
        return []
    if network["connected"] != "yes":
        if _complains(told, "link_failed", "link_down"):
            return []  # the log says why
        if told.ports:
            return complaints.judge([{"event": "link_down"}])
        return [Finding("network", PROBLEM, "it has none yet",
                        "it has just begun to look for one: look again in a minute")]
    text = (f"{_LINKS.get(str(network['link']), network['link'])}, address {network['address']}, "
            f"router {network['gateway']}, DNS {network['dns']}")
    if "signal" in network:
        text += f", {network['signal']} dBm"
    findings = [Finding("network", OK, text)]
    if network.get("signal", 0) < _WEAK:
        findings.append(Finding("network", NOTE, f"its Wi-Fi is weak: {network['signal']} dBm",
                                "move the board or the access point"))
    return findings


def _time(told: Told, device: str) -> list[Finding]:
    clock = told.part("time")
    if not clock:
        return []
    if clock["set"] != "yes":
        if _complains(told, "no_time"):
            return []  # the log says why
        advice = ("name a server in the setting `time_server`" if clock.get("server") == "none"
                  else "it asks once a minute; look again")
        return [Finding("time", NOTE, "its clock is not set yet", advice)]
    off = abs(clock["now"] - time.time())
    server = clock.get("server", "none")  # it says one once it has a network
    if off > _CLOCK_OFF:
        return [Finding("time", PROBLEM, f"its clock and this computer's differ by {_span(off)}",
                        "which one is wrong? It asks "
                        f"{'nobody now' if server == 'none' else server}, setting `time_server`")]
    if _complains(told, "no_time"):
        return [Finding("time", NOTE, f"set; {server} says nothing now",
                        "it is asked again by itself; if that lasts: the setting `time_server`")]
    return [Finding("time", OK, "set" if server == "none" else f"set, by {server}")]


def _tls(told: Told, device: str) -> list[Finding]:
    tls = told.part("tls")
    if not tls or tls["state"] == "ok":
        return []
    if any(event["event"] == "no_tls" for event in told.events):
        return []  # the log says why
    return complaints.judge([{"event": "no_tls", "why": ""}])


def _mailboxes(told: Told, device: str) -> list[Finding]:
    mailboxes = told.parts.get("mailbox", [])
    shut = [each for each in mailboxes if "why" in each]
    findings = []
    if mailboxes and len(shut) < len(mailboxes):
        findings.append(Finding("accounts", OK, ", ".join(
            f"{each['mailbox']} ({each['messages']} messages, {_size(each['octets'])})"
            for each in mailboxes if "why" not in each)))
    if told.part("card").get("state") == "ok":
        findings += complaints.judge([{**each, "event": "mailbox_closed"} for each in shut])
    return findings


def _devices(told: Told, device: str) -> list[Finding]:
    findings = []
    for each in told.parts.get("device", []):
        letters = each.get("letters", 0)
        if "peer" not in each or each.get("helo") == in_network.HELO and not letters:
            continue  # it has no room to tell; it is us
        name = " ".join(filter(None, (str(each.get("device", "")), str(each["peer"]))))
        text = f"{name} (HELO {each['helo']})" if each.get("helo") else name
        if letters:
            text += f": {letters} letter{'s' * (letters != 1)}, {_size(each.get('octets', 0))}"
            if each.get("every"):
                text += f", one each {each['every']}"
            text += f", the last {each.get('last')}"
        else:
            text += f": no letter so far, last seen {each.get('last')}"
        if each.get("why"):
            text += f"; last refused: {each['why']}"
        findings.append(Finding("devices", NOTE if each.get("advice") else OK, text,
                                str(each.get("advice", ""))))
    return findings


# --- at its prompt ------------------------------------------------------------------------------

def at_prompt(device: str) -> list[Finding]:
    """What a board is like whose firmware does not run: it serves nobody. It is reset afterwards,
    which tries again. Raises UserError.
    """
    with Prompt(device) as prompt:
        name, number, _, machine = kind.facts(prompt)
        if name != "micropython":
            raise UserError(f"{device}: it runs {name}")
        findings = [Finding("board", OK, f"{machine or 'a board'} at {device}, MicroPython "
                            f"{number}, at its prompt")]
        is_there = kind.frozen(prompt) or prompt.read(flash_files.LIST)
        if not is_there:
            return [*findings, Finding("firmware", PROBLEM, "picopost is not on it",
                                       "`make deploy`")]
        fault = (prompt.read(flash_files.FAULT) or b"").decode(errors="replace")
        wrong = _wrong(prompt.read("settings.json"), prompt.read("accounts.txt"))
    findings.append(Finding("firmware", PROBLEM, "picopost is on it, and does not run",
                            "`make console`, there Ctrl-D; or plug it in again"))
    return findings + _failed(wrong, fault.partition("\n")[2].strip())


def _failed(wrong: str, said: str) -> list[Finding]:
    """Why it does not start. `wrong`: what it would not start with; `said`: of the last start that
    failed, whenever that was.
    """
    if wrong or _ABOUT_ITS_FILES.search(said):  # if that is right now, what it said is over
        return complaints.judge([{"event": "safe_mode", "why": wrong}]) if wrong else []
    if said.startswith("Traceback"):
        return [Finding("firmware", NOTE, f"its last start that failed: {said.splitlines()[-1]}",
                        "report it with what `make logs` shows, if it comes back")]
    return complaints.judge([{"event": "safe_mode", "why": said}]) if said else []


_ABOUT_ITS_FILES = re.compile(r"^(settings\.json|accounts\.txt|notices: )|must name an account")


def _wrong(settings: bytes | None, lines: bytes | None) -> str:
    """What it would not start with, as the firmware says that; "": nothing. `lines`: accounts."""
    try:
        names = list(accounts.parse((lines or b"").decode()))
        if lines:
            checked.check_accounts_file(lines, "accounts.txt")
        checked.check_accounts(json.loads(settings or b"{}"), names or [_FIRST_USER])
    except accounts.AccountError as error:
        return f"accounts.txt, {error}"
    except UserError as error:
        return str(error)
    except ValueError:
        return "settings.json is not JSON"
    return ""


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _size(octets: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets} octets"
