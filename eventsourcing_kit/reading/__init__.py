"""Which events are asked for, and how they are handed back.

Each module imports only from those above it.

    frames          columns of DataFrames: nullable types, times, names
    table_progress  how far tables were when
    event_frame     the events of a read as one DataFrame
    exported        a read as formats take it: frames of some thousands of events
    progress        a bar for long work at a terminal
    query           which events are meant, by types and tags
    known_types     types asked for by name: unknown ones are refused, or hinted at
    read            which events are asked for, and the events themselves
    overview        what a store holds: its streams and types
"""
