"""`python -m taskyard`, and the command `taskyard`."""

from taskyard.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
