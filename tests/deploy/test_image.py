"""Which image a board without MicroPython gets."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from host_tools import boards
from host_tools.deploy import image
from host_tools.device.usb import FolderUsb, chip_at
from host_tools.errors import UserError
from tests.rp2040 import images

DEFINITION = {"module": "pico_w", "image": {"name": "RPI_PICO_W", "versions": ">=1.28,<1.30"}}
PICO_2_W = {"module": "pico_2_w", "image": {"name": "RPI_PICO2_W", "versions": ">=1.28,<1.30"}}


def uf2(path, **more):
    return images.uf2(path, b"\xff" * 512, **more)


@pytest.fixture
def server(tmp_path):
    """(URL of a folder, the folder)"""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()
        thread.join()


def test_what_is_given_comes_first(tmp_path):
    given = uf2(tmp_path / "given.uf2")
    uf2(tmp_path / "RPI_PICO_W-9.uf2")
    assert image.find(DEFINITION, given, tmp_path) == given


@pytest.mark.parametrize("make, words", [
    (lambda path: None, "No such file"), (lambda path: path.write_bytes(b"x" * 600), "no UF2"),
    (lambda path: uf2(path, family=0xE48BFF59), "RP2040"),
    (lambda path: path.write_bytes(uf2(path).read_bytes()[:-100]), "cut off")])
def test_what_is_no_image_is_refused(tmp_path, make, words):
    path = tmp_path / "x.uf2"
    make(path)
    with pytest.raises(UserError, match=words):
        image.find(DEFINITION, path, tmp_path)


def test_the_newest_of_the_cache(tmp_path):
    for name in ("RPI_PICO_W-20260101-v1.28.0", "RPI_PICO_W-20260601-v1.29.0", "RPI_PICO-20261111"):
        uf2(tmp_path / f"{name}.uf2")
    assert image.find(DEFINITION, None, tmp_path).name == "RPI_PICO_W-20260601-v1.29.0.uf2"


def test_of_an_rp2350_the_one_for_its_arm_cores(tmp_path):
    arm = uf2(tmp_path / "RPI_PICO2_W-20260101-v1.28.0.uf2", family=boards.RP2350.family)
    uf2(tmp_path / "RPI_PICO2_W-RISCV-20260101-v1.28.0.uf2", family=0xE48B_FF5A)
    assert image.find(PICO_2_W, None, tmp_path) == image.find(PICO_2_W, arm, tmp_path) == arm
    with pytest.raises(UserError, match="for another chip .* not for the RP2040"):
        image.find(DEFINITION, arm, tmp_path)


def test_an_image_for_another_chip_than_waits_goes_nowhere(tmp_path):
    drive = tmp_path / "RP2350"
    drive.mkdir()
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\n"
                                        "Board-ID: RP2350\n")
    usb = FolderUsb(tmp_path)
    assert usb.drives() == [drive] and chip_at(drive) is boards.RP2350
    with pytest.raises(UserError, match="for another chip .* not for the RP2350"):
        image.flash(usb, drive, uf2(tmp_path / "a.uf2"), print)
    assert [path.name for path in drive.iterdir()] == ["INFO_UF2.TXT"]


def test_where_no_board_is_known_an_image_for_any_will_do(tmp_path):
    for chip in boards.CHIPS:
        path = uf2(tmp_path / f"{chip.name}.uf2", family=chip.family)
        assert image.find(None, path) == path
    with pytest.raises(UserError, match="for another chip"):
        image.find(None, uf2(tmp_path / "c.uf2", family=0xE48B_FF5A))


def test_without_any_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"RPI_PICO_W \(>=1.28,<1.30\) from micropython.org/downl"):
        image.find(DEFINITION, None, tmp_path / "cache")


def with_url(url, sha256):
    return {**DEFINITION, "image": {**DEFINITION["image"], "url": url, "sha256": sha256}}


def test_a_download_is_checked_and_kept(tmp_path, server):
    url, folder = server
    content = uf2(folder / "RPI_PICO_W-1.uf2").read_bytes()
    cache = tmp_path / "cache"
    definition = with_url(url + "/RPI_PICO_W-1.uf2", hashlib.sha256(content).hexdigest())
    assert image.find(definition, None, cache).read_bytes() == content
    (folder / "RPI_PICO_W-1.uf2").unlink()
    assert image.find(definition, None, cache).read_bytes() == content


@pytest.mark.parametrize("name, sha256, words", [
    ("RPI_PICO_W-1.uf2", "0" * 64, "its SHA-256 is [0-9a-f]{64}, it should be 0{64}; nothing was"),
    ("other.uf2", "0" * 64, "File not found")])
def test_another_download_is_not_kept(tmp_path, server, name, sha256, words):
    url, folder = server
    uf2(folder / "RPI_PICO_W-1.uf2")
    with pytest.raises(UserError, match=words):
        image.find(with_url(f"{url}/{name}", sha256), None, tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*"))


def test_nobody_serves_it(tmp_path, server):
    with pytest.raises(UserError, match="http://127.0.0.1:1/x.uf2: "):
        image.find(with_url("http://127.0.0.1:1/x.uf2", "0"), None, tmp_path)
