"""The one exception that ends a command with one line instead of a traceback."""


class UserError(Exception):
    """Something the user can mend; the text says what and how."""
