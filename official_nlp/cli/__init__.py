"""The command `electra`."""
