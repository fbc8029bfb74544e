"""`python -m official_nlp` is the command `electra`."""

import sys

from official_nlp import cli

if __name__ == "__main__":
    sys.exit(cli.main())
