"""Other people's files: as frames of events, and events as such files.

Each module imports only from those above it.

    format       what a format is: a reader, a writer, and what it would lose
    file         a file as it is found: what it holds, and how it is compressed
    conventions  names of columns by which usual tools say what is what
    delimited    CSV and TSV
    registry     the table of formats; a file is read, or written, by the one that fits
"""
