"""What `from __future__ import annotations` looks for in the Adafruit packages."""

annotations = None
