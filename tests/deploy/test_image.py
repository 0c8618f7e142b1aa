"""Which image a board without MicroPython gets."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from host_tools.deploy import image
from host_tools.errors import UserError
from tests.rp2040 import images

DEFINITION = {"image": {"name": "RPI_PICO_W", "versions": ">=1.28,<1.30"}}


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


def test_without_any_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"RPI_PICO_W \(>=1.28,<1.30\) from micropython.org/downl"):
        image.find(DEFINITION, None, tmp_path / "cache")


def with_url(url, sha256):
    return {"image": {**DEFINITION["image"], "url": url, "sha256": sha256}}


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
