"""The FAT reader against what MicroPython's FatFs wrote, and the check of the file system."""

import struct

import pytest

from host_tools.card import fat_check
from host_tools.card.fat import CardError, FatVolume
from host_tools.card.finding import ERROR, NOTE, Finding
from host_tools.card.source import ImageCard
from tests.card.conftest import Card, new_image

# Inside the VM: interleaved appends, so that no file is in one piece, and every kind of name.
WRITE = """
names = ["PLAIN.TXT", "lower.txt", "MIXED.txt", "a longer name.text", "two.dots.mbox", "x"]
os.mkdir("/sd/Deep")
os.mkdir("/sd/Deep/er and deeper")
for n in range(200):
    open("/sd/Deep/%d" % n, "wb").close()
where = ["/sd/" + name for name in names] + ["/sd/Deep/er and deeper/" + name for name in names]
for part in range(12):
    for i, path in enumerate(where):
        with open(path, "ab") as file:
            file.write(bytes([part ^ i]) * (997 * (i + 1)))
os.remove(where[2])
"""


LARGE = "mail/girl/00/0002.MBX"
SHARED = "mail/girl/00/0000.MBX"


def check(card: Card) -> list[Finding]:
    with ImageCard(card.path) as source:
        return list(fat_check.check(source.volume))


def chain(card: Card, path: str) -> list[int]:
    with ImageCard(card.path) as source:
        return source.volume.chain(card.entry(path).cluster, 1 << 30)[0]


@pytest.mark.parametrize("kind", ["fat12", "fat16", "fat32"])
def test_reads_what_fatfs_wrote(tmp_path, kind):
    card = new_image(tmp_path / "card.img", kind)
    with card.firmware() as vm:
        vm.exec(WRITE)
        where = [path.removeprefix("/sd/") for path in vm.eval("where")]
    with ImageCard(card.path) as source:
        assert source.volume.bits == int(kind[3:])
        for i, path in enumerate(where):
            *directories, name = path.split("/")
            listing = source.listing()
            for directory in directories:
                listing = source.listing(listing[directory.upper()])
            if i == 2:
                assert name.upper() not in listing
                continue
            entry = listing[name.upper()]
            assert entry.name == name and entry.path == path
            expected = b"".join(bytes([part ^ i]) * (997 * (i + 1)) for part in range(12))
            assert source.read(entry, 0, 1 << 20) == expected
            for offset in (0, 511, 512, 4095, 20_000, len(expected) - 1, len(expected)):
                assert source.read(entry, offset, 5000) == expected[offset:offset + 5000]
        assert len(source.listing(source.listing()["DEEP"])) == 201
    assert check(card) == []


def test_upper_bits_of_fat32_are_nobodys(tmp_path):
    """fatgen103: four bits of an entry are reserved, and kept by everybody who writes it."""
    card = new_image(tmp_path / "card.img", "fat32")
    with card.firmware() as vm:
        vm.exec(WRITE)
    with ImageCard(card.path) as source:
        start = source.volume._fat_start
        before = source.volume.fat
    for cluster in range(2, 200):
        at = start + 4 * cluster + 3
        card.patch(at, bytes([card.peek(at, 1)[0] | 0xF0]))
    with ImageCard(card.path) as source:
        assert source.volume.fat == before
    assert [finding.what[:14] for finding in check(card)] == ["copy 2 differs"]


@pytest.mark.parametrize("at, value, what", [
    (1, "b0", "cross-linked: cluster {b0} belongs to " + SHARED),
    (2, "a1", "cross-linked: cluster {a1} belongs to itself, a loop"),
    (2, 0, "cluster chain: after 2 clusters comes cluster {a2}, which is free"),
    (0, 0xFFF7, "cluster chain: after 1 cluster comes a cluster marked bad"),
    (1, 1, "cluster chain: after 2 clusters comes cluster 1, which does not exist"),
    (1, 0xFF00, "cluster chain: after 2 clusters comes cluster 65280, which does not exist"),
    (0, 0xFFFF, "the directory entry says {size} octets, its cluster chain has room for 4096"),
])
def test_damaged_chain(card, at, value, what):
    """A link of the large file's chain leads somewhere else."""
    a, b = chain(card, LARGE), chain(card, SHARED)
    names = {"a1": a[1], "a2": a[2], "b0": b[0], "size": card.entry(LARGE).size}
    card.set_fat(a[at], names.get(value, value))
    found = check(card)
    assert Finding(ERROR, LARGE, what.format(**names)) in found, found
    assert [finding.severity for finding in found] in (["error"], ["error", "note"])


@pytest.mark.parametrize("path, at, value, where, what", [
    (LARGE, 28, struct.pack("<I", 1 << 30), LARGE,
     "the directory entry says 1073741824 octets, its cluster chain has room for 110592"),
    (LARGE, 26, bytes(2), LARGE, "the directory entry says {size} octets, but has no cluster"),
    (LARGE, 1, b"\1", "mail/girl/00/0\x0102.MBX",
     "the directory entry is damaged: no legal name"),
    ("mail/girl", 26, b"\xff\xff", "mail/girl",
     "cluster chain: after 0 clusters comes cluster 65535, which does not exist"),
])
def test_damaged_directory_entry(card, path, at, value, where, what):
    size = card.entry(LARGE).size
    card.patch(card.directory_slot(path) + at, value)
    assert Finding(ERROR, where, what.format(size=size)) in check(card), check(card)


def test_directory_that_contains_itself(card):
    """The walk ends, and says where."""
    cluster = card.entry("mail").cluster
    card.patch(card.directory_slot("mail/girl") + 26, struct.pack("<H", cluster))
    assert Finding(ERROR, "mail/girl", f"cross-linked: cluster {cluster} belongs to mail"
                   ) in check(card)


def test_size_less_than_its_chain(card):
    card.patch(card.directory_slot(LARGE) + 28, struct.pack("<I", 10))
    count = len(chain(card, LARGE))
    assert check(card) == [Finding(NOTE, LARGE, f"{count} clusters for 10 octets")]


def test_copies_that_differ(card):
    slot = card.fat_slot(chain(card, LARGE)[0], 1)
    card.patch(slot, b"\x55")
    assert [finding for finding in check(card) if finding.where == "FAT"] == [
        Finding(NOTE, "FAT", "copy 2 differs from the first in 1 sector, from sector 0 on")]


def test_lost_clusters(card):
    card.set_fat(3000, 3001)
    card.set_fat(3001, 0xFFFF)
    card.set_fat(3002, 0xFFF7)
    with ImageCard(card.path) as source:
        octets = 2 * source.volume.cluster_size
    assert check(card) == [Finding(NOTE, "FAT", f"2 clusters in use by no file ({octets} octets)")]


def test_image_cut_short(card):
    """What is left is read, what is not is named."""
    with open(card.path, "r+b") as file:
        file.truncate(card.place(LARGE) + 100)
    found = card.check()
    assert found[0].severity == ERROR and "the file system ends at sector" in found[0].what
    assert any(finding.where == LARGE and "the image ends at octet" in finding.what
               for finding in found)


@pytest.mark.parametrize("content", [b"", b"x" * 511, bytes(4096), b"\xeb" * 4096])
def test_no_file_system(tmp_path, content):
    (tmp_path / "card.img").write_bytes(content)
    with pytest.raises(CardError):
        FatVolume(tmp_path / "card.img")


@pytest.mark.parametrize("at, value", [
    (11, b"\0\4"), (13, b"\0"), (13, b"\3"), (14, b"\0\0"), (16, b"\0"), (17, b"\0\0"),
    (22, b"\1\0"), (19, b"\1\0"), (510, b"\0\0")])
def test_boot_sector_that_contradicts_itself(card, at, value):
    with ImageCard(card.path) as source:
        start = source.volume.start * 512
    card.patch(start + at, value)
    with pytest.raises(CardError):
        FatVolume(card.path)
