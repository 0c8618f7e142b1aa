# Runs in the VM: what an endless text leaves in the heap.
import gc

from picopost.mime import html_text


def html_growth(piece, times):
    """Octets by which the heap is larger at most, while `piece` comes so many times."""
    reader = html_text.HtmlText()
    reader.read(piece)
    gc.collect()
    before = gc.mem_alloc()
    most = 0
    for turn in range(times):
        reader.read(piece)
        if turn % 16 == 0:
            gc.collect()
            most = max(most, gc.mem_alloc() - before)
    return most
