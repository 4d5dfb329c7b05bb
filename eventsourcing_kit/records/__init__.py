"""From checked facts to the bytes of a commit, and back.

Each module imports only from those above it.

    moment        whatever names one place in the log; times as whole microseconds of UTC
    ids           UUIDv7 ids that carry their position
    record_check  is a decoded body a commit's?
    rows          events ready to be recorded: one by one, or many as columns
    record        one commit as bytes: the record formats, defined
    unknown       the policy for events that no class knows
"""
