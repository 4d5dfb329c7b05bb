"""One log of commits: read by many, written by one.

Each module imports only from those above it.

    bell        waking threads that wait
    tail        the newest records, at hand for those who follow
    commits     what a table holds, read: commits, streams, ids, moments, notes
    log         a store's log, opened: read beside its writer or behind it, superseded, closed
    keeping     how rows become durable: through the journal, or with a flush of SlateDB
    placement   where the next commit goes: positions, versions, times, ids
    repeats     appends that are there already
    interrupts  signals put off, while a thread is in the middle of what must not be left half-done
    writer      the log, written: one thread at a time places and stores commits
    opening     a store's log opened, beside its writer or as its writer
    salvage     every event before the damage, out of a folder that cannot be opened
    copying     a store's rows written into a new place
"""
