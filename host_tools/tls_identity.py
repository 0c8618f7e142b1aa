"""The appliance's TLS key and its self-signed certificate, made on the host.

The board has no good moment to make a key: entropy is scarce when it boots for the first time,
and its owner must see the fingerprint somewhere. So the key is made here and copied to the
flash, and kept on the host beside the card image.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY = "tls_key.der"
CERTIFICATE = "tls_cert.der"

# Nobody renews a certificate that was accepted by its fingerprint: a new one looks to a mail
# program like an attack. RFC 5280 4.1.2.5 has this value for "no well-defined expiration date".
# Limits such as 825 days are about trust in authorities; this one is accepted by a person.
_NOT_AFTER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)
# A client whose clock was never set shall accept it too: printers live in their factory's year.
_NOT_BEFORE = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
_MAX_COMMON_NAME = 64  # RFC 5280 appendix A, ub-common-name


def make(hostname: str, addresses: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """A new P-256 key (SEC 1) and its self-signed certificate, both DER.

    Subject and names: `hostname`, `hostname`.local for mDNS, and the IP `addresses`. Raises
    ValueError for a name that no certificate can have, or a wrong address.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name is bounded, the alternative names that clients look at are not.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:_MAX_COMMON_NAME])])
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _dns_names(hostname)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False,
        encipher_only=False, decipher_only=False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE).not_valid_after(_NOT_AFTER)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256()))
    return (key.private_bytes(serialization.Encoding.DER,
                              serialization.PrivateFormat.TraditionalOpenSSL,
                              serialization.NoEncryption()),
            certificate.public_bytes(serialization.Encoding.DER))


def keep(folder: Path, hostname: str, addresses: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """The (key, certificate) kept in `folder`; made when there are none for this `hostname`.

    What cannot be read or does not fit together counts as missing. Raises OSError when the
    folder cannot be written.
    """
    try:
        key = (folder / KEY).read_bytes()
        certificate = (folder / CERTIFICATE).read_bytes()
        if fits(key, certificate, hostname):
            return key, certificate
    except OSError:
        pass  # not there: a new one is made
    key, certificate = make(hostname, addresses)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, octets in ((folder / KEY, key), (folder / CERTIFICATE, certificate)):
        path.unlink(missing_ok=True)  # with the mode that it may have
        mode = 0o600 if path.name == KEY else 0o644
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(octets)
    return key, certificate


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a DER certificate as mail programs show it: AB:CD:..."""
    return in_pairs(hashlib.sha256(certificate).hexdigest())


def in_pairs(digits: str) -> str:
    """The same of hex digits, as a board says them."""
    return bytes.fromhex(digits).hex(":").upper()


def _dns_names(hostname: str) -> list[str]:
    return [hostname] if hostname.endswith(".local") else [hostname, hostname + ".local"]


def fits(key: bytes, certificate: bytes, hostname: str) -> bool:
    """Whether they belong together, and to this `hostname`; what is no DER does not."""
    try:
        return _fits(key, certificate, hostname)
    except (ValueError, x509.ExtensionNotFound):
        return False


def _fits(key: bytes, certificate: bytes, hostname: str) -> bool:
    private = serialization.load_der_private_key(key, password=None)
    parsed = x509.load_der_x509_certificate(certificate)
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (private.public_key() == parsed.public_key()
            and names.get_values_for_type(x509.DNSName) == _dns_names(hostname))


def unchecked() -> ssl.SSLContext:
    """For a client that takes any certificate: nobody has signed an appliance's, so who has to know
    it looks at its fingerprint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
