"""Safe file operations: atomic writes, staged folders, paths that stay inside a folder."""
