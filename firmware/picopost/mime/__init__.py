"""MIME messages read as they pass (RFC 2045, 2046, 5322): a library of its own, in constant memory.

Its modules run unchanged under MicroPython and CPython.
"""
