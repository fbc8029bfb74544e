"""Read, write and convert the file formats of other programs."""
