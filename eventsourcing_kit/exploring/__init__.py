"""The explorer: a history that people touch, in a notebook or in one HTML file.

`explorer.mjs` and `explorer.css` are what a browser runs and shows. Each module imports only from those above it.

    values   values as JSON that a page can tell apart, and what of them leaves the house
    columns  columns as bytes that compress well
    entries  the log as columns
    packing  one or two histories, and the log under them, packed
    page     one HTML file that holds it all
    picture  a small picture of the view, for where nothing runs
    widget   the view in a notebook, and a thread that follows a store which grows
    view     `explore`, and the view that people get
"""
