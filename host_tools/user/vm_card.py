# Runs inside the VM, for `user --card`: puts what comes on stdin into a file of the card's root.
import sys

from vm_repair import ROOT, mount


def main():
    text = sys.stdin.read()
    volume = mount(sys.argv[1])
    volume.structural += 1  # its name and first cluster: see the firmware's store/guard.py
    try:
        with open(ROOT + "/" + sys.argv[2], "w") as file:
            file.write(text)
    finally:
        volume.structural -= 1
    volume.unmount()
    volume.sync()


main()
