"""`ek`: a store asked from a terminal.

Each module imports only from those above it.

    shown     answers as text that fits, or as JSON
    asked     what people type as stores, moments, projections, keys and conditions
    causes    an event's tree of causation
    commands  the commands
"""
