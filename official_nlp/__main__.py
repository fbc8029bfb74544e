"""`python -m official_nlp` is the command `electra`."""

import sys

# As `cli.main.INTERRUPTED`, from a module that may not have been imported yet.
_INTERRUPTED = 130


def main() -> int:
    """Run the command. Ctrl-C while its modules are imported ends it without a traceback, too."""
    try:
        from official_nlp.cli import main as command

        return command.main()
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
