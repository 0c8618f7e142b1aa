from picopost import load, unload


def tell(error):
    """Log an OSError that a link's `up` raised (net/trouble.py); never raises."""
    try:
        load("picopost.net.trouble").tell(error)
    except MemoryError:
        pass  # sessions may still hold what they had; there is another try, to be told of
    finally:
        unload("picopost.net.trouble")
