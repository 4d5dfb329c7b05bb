"""Facts, their types, and how types change.

Each module imports only from those above it.

    texts            how counts and times are written for people
    hints            what was probably meant, and warnings that point at people's own line
    callables        functions that people give: what a call of one does, and which is which
    json_values      plain JSON: what of it is taken, how it is copied, how values are shown
    tags             what an event is about besides its stream
    schema           the registry of event types, and how each one's data are read
    dumping          events on their way to plain JSON; what would read back different is refused
    renames          renamed event types: the name of today
    wanted           which event types are meant by classes, names and "*"
    upcasters        from one schema version to the next, on every read
    sending          event types on their way to another process
    stored_data      stored data as today's classes have it
    fingerprint      two pieces of code with the same one do the same
    event            the facts people write and the facts the store hands back
    command_context  why and for whom: `context`, which lands in the metadata of what follows
"""
