"""The formats of `export`, each a class that writes a model and checks what was written."""
