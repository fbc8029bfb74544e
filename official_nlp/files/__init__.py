"""File operations that are safe: atomic writes, staged folders, paths inside a folder, errors."""
