"""The command `claw`, and `python -m clawswarm`: Ctrl-C ends it in silence while it still loads."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Entry point."""
    try:
        from clawswarm.console.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
