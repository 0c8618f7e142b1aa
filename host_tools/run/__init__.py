"""`run`: what it is asked for, and what it shows."""
