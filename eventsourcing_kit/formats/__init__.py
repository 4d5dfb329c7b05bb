"""Other people's files: as frames of events, and events as such files.

Each module imports only from those above it.

    format        what a format is: a reader, a writer, and what it would lose
    file          a file as it is found: what it holds, and how it is compressed
    conventions   names of columns by which usual tools say what is what
    delimited     CSV and TSV
    parquet       Parquet
    rows          rows as JSON: one a line, or an array
    changes       rows of change data capture, bare or Debezium's
    spans         OpenTelemetry's spans
    cloudevents   CloudEvents
    safe_xml      XML as a stream of tags, with nothing expanded and nothing fetched
    grouped       pieces of a file that come apart and belong together
    extras        what events have and process-mining formats have no place for
    xes_written   events as XES
    xes           XES
    ocel          object-centric logs: events once, objects as tags, changes of objects as their events
    ocel_written  events as an object-centric log
    ocel_json     OCEL as JSON
    ocel_xml      OCEL as XML
    ocel_sqlite   OCEL as an SQLite database
    registry      the table of formats; a file is read, or written, by the one that fits
"""
