"""Parts of tools/benchmark.py that have processes of their own."""
