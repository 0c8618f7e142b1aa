"""What holds for all tests."""

import signal

# A shell without job control starts what is in its background with SIGINT ignored, and who is
# started by that inherits it: then no program of ours would hear a test's Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
