"""The only package that talks to SlateDB: sorted bytes in, sorted bytes out, all of it synchronous.

Each module imports only from those above it.

    binding   SlateDB's Python binding, driven without asyncio; and the mending of a defect of it
    settings  SlateDB as it is set up here, and the object storage underneath
    opening   a database opened and shut, and its errors told for people
    files     the files of a store's folder, each read on its own
    table     rows of bytes, sorted by key, the rows of a folder's journal among them
"""
