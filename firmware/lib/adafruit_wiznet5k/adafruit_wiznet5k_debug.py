"""Stands in for the package's own module, whose hex dumps an appliance has no use for."""


def debug_msg(message, debugging):
    """Drop it."""
