"""A mail program's settings for an appliance, as Thunderbird and others read them: config-v1.1.xml.

The format is Mozilla's (Thunderbird:Autoconfiguration:ConfigFileFormat).
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

# service: (kind of server, socketType); the better of two comes first, and is what is taken.
_INCOMING = (("pop3s", "SSL"), ("pop3", "STARTTLS"))
_OUTGOING = (("smtps", "SSL"), ("submission", "STARTTLS"), ("smtp", "STARTTLS"))


def xml(hostname: str, server: str, ports: dict[str, int], starttls: Iterable[str]) -> str:
    """For mail addresses at `hostname`: `server` is how the program reaches it, name or address;
    `ports` by service; of those in `starttls` it is offered.
    """
    starttls = set(starttls)
    config = ElementTree.Element("clientConfig", version="1.1")
    provider = ElementTree.SubElement(config, "emailProvider", id=hostname)
    domains = [hostname] if "." in hostname else [hostname, hostname + ".local"]
    for tag, text in (*(("domain", domain) for domain in domains),
                      ("displayName", f"picopost ({hostname})"), ("displayShortName", hostname)):
        ElementTree.SubElement(provider, tag).text = text
    for tag, kind, services in (("incomingServer", "pop3", _INCOMING),
                                ("outgoingServer", "smtp", _OUTGOING)):
        for service, socket_type in services:
            if service in ports:
                if socket_type == "STARTTLS" and service not in starttls:
                    socket_type = "plain"
                _server(ElementTree.SubElement(provider, tag, type=kind), server, ports[service],
                        socket_type)
    ElementTree.indent(config)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            + ElementTree.tostring(config, encoding="unicode") + "\n")


def _server(element: ElementTree.Element, server: str, port: int, socket_type: str) -> None:
    for tag, text in (("hostname", server), ("port", str(port)), ("socketType", socket_type),
                      ("username", "%EMAILLOCALPART%"),
                      ("authentication", "password-cleartext")):
        ElementTree.SubElement(element, tag).text = text
