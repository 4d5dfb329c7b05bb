"""One log of commits: read by many, moved on by one.

Each module imports only from those above it.

    wakeup      waking threads that wait
    tag_index   the index of tags, read: events that have one tag, or several
    commits     what a table holds, read: commits, streams, ids, moments, notes
    forked      a log that goes on from another's: what a branch sees as one
    log         a store's log, opened: read beside its writer or behind it, superseded, closed
    finding     a branch's base, found again
    salvage     every event before the damage, out of a folder that cannot be opened
    copying     a store's rows written into a new place
"""
