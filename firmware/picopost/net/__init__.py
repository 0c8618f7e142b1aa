from picopost import load, unload


def tell(error):
    """Log an OSError that a link's `up` raised (net/trouble.py)."""
    try:
        load("picopost.net.trouble").tell(error)
    finally:
        unload("picopost.net.trouble")
