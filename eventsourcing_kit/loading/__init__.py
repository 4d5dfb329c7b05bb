"""Foreign logs made events.

Each module imports only from those above it.

    cells     cells of a foreign frame as plain JSON
    load      a foreign log: a frame's rows become events at their own times
    progress  a bar for long work, which stays out of test output
"""
