"""The project's own benchmark; run it with `make bench`."""
