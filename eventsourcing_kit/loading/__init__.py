"""Foreign logs made events.

Each module imports only from those above it.

    cells     cells of a foreign frame as plain JSON
    times     a column of times as microseconds of UTC: units, zones, days before months
    columns   which of a frame's columns is what; the kit's own frames say so themselves
    payload   what the rows say, as shapes of events: column by column, or row by row
    load      a frame's rows become events at their own times, and are stored
    known     rows that are in the store already
    files     files as frames, and errors that say which file
"""
