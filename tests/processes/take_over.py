"""Open a folder as its newest writer, and append two events: `python -m tests.processes.take_over FOLDER`."""

import sys

import eventsourcing_kit as ek


def main() -> None:
    with ek.EventStore(sys.argv[1], fsync=False) as store:
        store.append("other", [ek.NewEvent(type="Noted", data={"n": n}) for n in range(2)])


if __name__ == "__main__":
    main()
