# What MicroPython's own build freezes for picopost: what the board's image has anyway, and all of
# the firmware but main.py, which lies on the flash and starts it. In flash bytecode, constants and
# names take no heap; loaded from files they take more of it than a Pico W has (DESIGN.md, "What the
# heap is spent on").
#
#     make -C ports/rp2 BOARD=RPI_PICO_W FROZEN_MANIFEST=.../boards/manifest.py
#
# mpy-cross compiles for armv6m there, so native code is frozen as such; its plain twins are frozen
# too, and only loaded where it is not to be had. Adafruit's packages are where `make venv` puts
# them.

include("$(BOARD_DIR)/manifest.py")

package("picopost", base_path="../firmware")

# For boards with a W5500 whose TCP is used: Adafruit's DHCP client, and what it imports.
_ADAFRUIT = "../.venv/device_packages"
package("adafruit_wiznet5k", ("__init__.py", "adafruit_wiznet5k_dhcp.py"), base_path=_ADAFRUIT)
module("adafruit_ticks.py", base_path=_ADAFRUIT)
package("adafruit_wiznet5k", base_path="../firmware/lib")
module("__future__.py", base_path="../firmware/lib")

# Which firmware this is: `deploy` looks whether it is its own. MicroPython's build runs a manifest
# in its folder.
import sys  # noqa: E402

sys.path.insert(0, "..")
from host_tools.firmware_build import STAMP_MODULE, write_stamp  # noqa: E402

module(STAMP_MODULE + ".py", base_path=str(write_stamp()))
