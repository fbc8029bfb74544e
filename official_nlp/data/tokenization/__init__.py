"""Text to ids and back, in Python and in a graph."""
