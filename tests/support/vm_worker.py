# Runs inside the MicroPython VM: executes what tests/support/vm.py sends, one request a line.
import gc
import io
import sys

scope = {"__name__": "worker"}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    kind, source = eval(line)
    result = None
    try:
        if kind == "eval":
            result = eval(source, scope)
        else:
            exec(source, scope)
        reply = ("ok", result)
    except BaseException as error:
        text = io.StringIO()
        sys.print_exception(error, text)
        reply = ("error", text.getvalue())
    print("\x01" + repr(reply))
    line = source = reply = result = None
    gc.collect()
