"""Is the log what it was, and can today's classes read it?

Each module imports only from those above it.

    report         what a verification finds
    index_check    does the index agree with the log?
    misfits        do stored payloads fit their classes?
    verify         the log, verified: chain, positions, versions, times, ids
    schema_frames  the registry of types, and how well it reads a log
"""
