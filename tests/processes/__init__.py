"""Processes that write to one folder while others kill them, take over from them and read beside them."""
