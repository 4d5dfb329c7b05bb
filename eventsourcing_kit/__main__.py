"""`python -m eventsourcing_kit`, and the command `ek`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that stands on the command line."""
    try:
        import click  # noqa: F401
    except ImportError:
        sys.exit("ek needs click; install it: pip install click, or with the kit: pip install 'eventsourcing_kit[cli]'")
    from eventsourcing_kit.terminal.commands import ek

    ek(prog_name="ek")


if __name__ == "__main__":
    main()
