"""A mail program's settings for an appliance, as Thunderbird and others read them: config-v1.1.xml.

The format is Mozilla's (Thunderbird:Autoconfiguration:ConfigFileFormat).
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from host_tools.doctor.in_network import Service

_SOCKET_TYPES = ("SSL", "STARTTLS", "plain")  # the best first, which is what is taken


def xml(hostname: str, server: str, services: Iterable[Service]) -> str:
    """For mail addresses at `hostname`: `server` is how the program reaches it, name or address;
    `services` are those that answer.
    """
    config = ElementTree.Element("clientConfig", version="1.1")
    provider = ElementTree.SubElement(config, "emailProvider", id=hostname)
    domains = [hostname] if "." in hostname else [hostname, hostname + ".local"]
    for tag, text in (*(("domain", domain) for domain in domains),
                      ("displayName", f"picopost ({hostname})"), ("displayShortName", hostname)):
        ElementTree.SubElement(provider, tag).text = text
    services = sorted(services, key=lambda each: (
        _SOCKET_TYPES.index(_socket_type(each)), each.name != "submission", each.port))
    for tag, kind in (("incomingServer", "pop3"), ("outgoingServer", "smtp")):
        for each in services:
            if each.name.startswith("pop3") == (kind == "pop3"):
                _server(ElementTree.SubElement(provider, tag, type=kind), server, each)
    ElementTree.indent(config)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            + ElementTree.tostring(config, encoding="unicode") + "\n")


def _socket_type(service: Service) -> str:
    return "SSL" if service.in_tls else "STARTTLS" if service.starttls else "plain"


def _server(element: ElementTree.Element, server: str, service: Service) -> None:
    for tag, text in (("hostname", server), ("port", str(service.port)),
                      ("socketType", _socket_type(service)), ("username", "%EMAILLOCALPART%"),
                      ("authentication", "password-cleartext")):
        ElementTree.SubElement(element, tag).text = text
