"""Facts, their types, and how types change.

Each module imports only from those above it.

    schema           the registry of event types; data on its way to plain JSON and back
    renames          renamed event types: the name of today
    upcasters        from one schema version to the next, on every read
    stored_data      stored data as today's classes have it
    fingerprint      two pieces of code with the same one do the same
    event            the facts people write and the facts the store hands back
    command_context  why and for whom: `context`, which lands in the metadata of what follows
"""
