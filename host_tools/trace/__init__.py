"""Where a message came from, read from its header."""
