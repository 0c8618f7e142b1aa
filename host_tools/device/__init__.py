"""Boards at a USB port: where they are, their prompt, their files."""
