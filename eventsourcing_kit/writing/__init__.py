"""A write, from what is given to what is told: checked, placed, encoded, durable.

Each module imports only from those above it.

    condition   that no event after a position is one that a query means
    append      what goes into an append, as given and as the writer takes it, and what it did: the receipt
    checks      every check of an append that needs no log
    placement   where the next commit goes: positions, versions, times, ids
    durability  how rows become durable: through the journal, or with a flush of SlateDB
    repeats     appends that are there already
    writer      one thread at a time places, encodes and stores commits
    decider     commands decided: `decide`, `evolve` and a first state
    kept_commands  commands kept in the log: made events, and read back
    handling    a command's way: load, decide, append, and again on a conflict
    picking     another log's events carried over to a branch
    redeciding  kept commands decided anew on a branch, and what that changes
    opening     a store's log opened, beside its writer or as its writer
"""
