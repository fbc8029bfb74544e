"""`python -m official_nlp` is the command `electra`."""

import sys

from official_nlp.cli import main

if __name__ == "__main__":
    sys.exit(main.main())
