"""The mail of a board on a PC and back, and what else a board needs in its life."""
