"""The appliance's key and certificate: what stands in them, and when new ones are made."""

import ipaddress
import os
import signal
import ssl
import stat
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools import run_command, tls_identity
from host_tools.emulator.board import prepare_flash
from tests.support.appliance import ROOT
from tests.support.ports import free_port_offset


def _extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def test_certificate_read_back():
    key, octets = tls_identity.make("post.example", ("192.168.1.7", "fe80::1"))
    certificate = x509.load_der_x509_certificate(octets)
    private = serialization.load_der_private_key(key, None)
    assert isinstance(private.curve, ec.SECP256R1)
    assert certificate.public_key() == private.public_key()
    assert certificate.subject.rfc4514_string() == "CN=post.example"
    certificate.verify_directly_issued_by(certificate)
    names = _extension(certificate, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["post.example", "post.example.local"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.168.1.7"), ipaddress.ip_address("fe80::1")]
    basic = _extension(certificate, x509.BasicConstraints)
    assert basic.critical and not basic.value.ca
    usage = _extension(certificate, x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature
    assert not (usage.value.key_cert_sign or usage.value.key_agreement)
    assert [*_extension(certificate, x509.ExtendedKeyUsage).value] == [
        x509.ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate.not_valid_before_utc.year == 2000
    assert certificate.not_valid_after_utc.year == 9999
    assert len(key) < 200 and len(octets) < 600  # the firmware reads 4 KB at most


def test_fingerprint_is_what_openssl_shows(tmp_path):
    _, octets = tls_identity.make("xyz.com")
    path = tmp_path / "cert.der"
    path.write_bytes(octets)
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-in", path, "-noout",
                           "-fingerprint", "-sha256"], capture_output=True, text=True, check=True)
    assert done.stdout.strip().split("=")[1] == tls_identity.fingerprint(octets)


def test_local_name_is_not_doubled():
    _, octets = tls_identity.make("post.local")
    names = _extension(x509.load_der_x509_certificate(octets), x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["post.local"]


def test_long_name():
    """The common name has room for 64 characters, a host name may have 253."""
    name = "a" * 60 + "." + "b" * 60 + ".example"
    _, octets = tls_identity.make(name)
    names = _extension(x509.load_der_x509_certificate(octets), x509.SubjectAlternativeName).value
    assert name in names.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("name", ["", "müll.example"])
def test_name_that_no_certificate_can_have(name):
    with pytest.raises(ValueError):
        tls_identity.make(name)


def test_kept_and_used_again(tmp_path):
    folder = tmp_path / "card.tls"
    old = os.umask(0)
    try:
        first = tls_identity.keep(folder, "xyz.com")
    finally:
        os.umask(old)
    assert tls_identity.keep(folder, "xyz.com") == first
    assert stat.S_IMODE((folder / tls_identity.KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # CPython's ssl takes them as a pair.
    pem = tmp_path / "both.pem"
    pem.write_text(ssl.DER_cert_to_PEM_cert(first[1]) + serialization.load_der_private_key(
        first[0], None).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()).decode())
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem)


def _lose_key(folder):
    (folder / tls_identity.KEY).unlink()


def _spoil_certificate(folder):
    (folder / tls_identity.CERTIFICATE).write_bytes(b"0\x82")


def _spoil_key(folder):
    (folder / tls_identity.KEY).write_bytes(b"")


def _swap_key(folder):
    (folder / tls_identity.KEY).write_bytes(tls_identity.make("xyz.com")[0])


@pytest.mark.parametrize("damage", [_lose_key, _spoil_certificate, _spoil_key, _swap_key])
def test_made_anew_when_unusable(tmp_path, damage):
    first = tls_identity.keep(tmp_path, "xyz.com")
    damage(tmp_path)
    (tmp_path / tls_identity.CERTIFICATE).chmod(0o666)
    second = tls_identity.keep(tmp_path, "xyz.com")
    assert second[0] != first[0] and second[1] != first[1]
    assert tls_identity.keep(tmp_path, "xyz.com") == second


def test_made_anew_for_another_host_name(tmp_path):
    first = tls_identity.keep(tmp_path, "xyz.com")
    second = tls_identity.keep(tmp_path, "abc.com")
    assert second != first
    assert tls_identity.keep(tmp_path, "abc.com") == second


def test_run_keeps_it_beside_the_card(tmp_path):
    card = tmp_path / "card.img"
    key, certificate = run_command._identity(card, {"hostname": "xyz.com"})
    assert (tmp_path / "card.tls" / tls_identity.KEY).read_bytes() == key
    assert run_command._identity(card, {"hostname": "xyz.com"}) == (key, certificate)
    assert run_command._identity(card, {"hostname": "ü"}) is None  # the firmware refuses it


def test_flash_gets_key_and_certificate(tmp_path):
    flash = tmp_path / "flash"
    prepare_flash(flash, {}, {}, [], (b"key", b"certificate"))
    key = flash / tls_identity.KEY
    assert key.read_bytes() == b"key" and stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (flash / tls_identity.CERTIFICATE).read_bytes() == b"certificate"
    prepare_flash(flash, {}, {}, [])
    assert not key.exists()


def test_run_prints_the_fingerprint(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "host_tools", "run", "--card", str(tmp_path / "card.img"),
         "--port-offset", str(free_port_offset())], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                break
        certificate = (tmp_path / "card.tls" / tls_identity.CERTIFICATE).read_bytes()
        assert tls_identity.fingerprint(certificate) in printed
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
