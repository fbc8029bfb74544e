"""Runs from beginning to end: prepared, trained, and finished as a model folder."""
