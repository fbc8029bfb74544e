"""Names to arrays and back: checkpoints of every format, into one form and out of it."""
