"""`python -m host_tools doctor`: what is wrong with an appliance, and what to do about it."""

from __future__ import annotations

import argparse
import os

from host_tools.device import ask, choice
from host_tools.device.usb import Port
from host_tools.doctor import at_port, autoconfig, in_network, report
from host_tools.doctor.at_port import Told
from host_tools.doctor.finding import NOTE, PROBLEM, Finding, in_order
from host_tools.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = ("The board goes on. Exit status: 0 no problems, 1 problems. Without a board "
                     "at USB, --reach alone looks at it from the network.")
    choice.arguments(parser)
    parser.add_argument("--reach", metavar="HOST[:OFFSET]",
                        help="where its ports are reached, and by how much higher (default: at its "
                             "own address)")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")
    parser.add_argument("--autoconfig", action="store_true",
                        help="print config-v1.1.xml for mail programs instead")


def run(options: argparse.Namespace) -> int:
    """Look, judge, show; raises UserError for what it cannot be told."""
    host, offset = in_network.reach(options.reach)
    findings: list[Finding] = []
    told = Told()
    port = _port(options, findings, bool(host))
    if port:
        told = _at_port(port, findings)
    network = told.part("network")
    if not host and network.get("connected") == "yes":
        host = str(network.get("address", ""))
    found: list[in_network.Service] = []
    if host and not in_network.resolved(host):
        findings.append(Finding("services", PROBLEM, f"this computer finds no {host}",
                                "give its address: --reach ADDRESS"))
    elif host:
        ports = told.ports or in_network.PORTS
        found = [in_network.ask(name, host, number + offset)
                 for name, number in sorted(ports.items(), key=lambda item: item[1])]
    hostname = _hostname(told, found)
    if options.autoconfig:
        serving = [each for each in found if not each.why]
        if not serving:
            raise UserError("no service answers; without --autoconfig it says why")
        print(autoconfig.xml(hostname or host, host, serving), end="")
        return 0
    findings += in_network.judge(host, found, told.fingerprint)
    if hostname and network.get("address"):
        findings += in_network.judge_names(hostname, str(network["address"]),
                                           in_network.names_in(found))
    findings = in_order(list(dict.fromkeys(findings)))
    if options.json:
        print(report.as_json(findings))
    else:
        report.show(findings)
    return int(any(each.level == PROBLEM for each in findings))


def _port(options: argparse.Namespace, findings: list[Finding], has_host: bool) -> Port | None:
    """The board's; None where there is none, which is a finding."""
    try:
        port = choice.port(options)
    except UserError as error:
        if options.port or "several" in str(error):
            raise
        findings.append(Finding("board", NOTE if has_host else PROBLEM, str(error),
                                "`make flash`" if "image" in str(error) else
                                "plug it in here to see what it says itself" if has_host else
                                "plug it in; for one elsewhere, --reach HOST"))
        return None
    if os.path.exists(port.device) and not os.access(port.device, os.R_OK | os.W_OK):
        findings.append(Finding("board", PROBLEM, f"port {port.device} is not yours",
                                "on Linux, be in the group `dialout`"))
        return None
    return port


def _at_port(port: Port, findings: list[Finding]) -> Told:
    try:
        told = at_port.ask_all(port.device)
    except ask.AtPrompt:
        findings += at_port.at_prompt(port.device)
        return Told()
    except UserError as error:
        findings.append(Finding("board", PROBLEM, str(error), at_port.AGAIN))
        return Told()
    findings += at_port.judge(told, port.device)
    return told


def _hostname(told: Told, found: list[in_network.Service]) -> str:
    """What the board is called, by itself or by its certificate; "": unknown."""
    names = in_network.names_in(found)
    return str(told.part("board").get("hostname", "")) or (names[0] if names else "")
