"""What teaching and testing needs: the guard over notebooks, specifications.

Each module imports only from those above it.

    cell_source     what in a notebook's code makes its outputs differ from run to run?
    notebook_check  is a notebook fit to be a strict test?
    purity          handlers that change their state in place, found
    specification   given these events, when this command comes, then that happens
    sensitivity     is a projection idempotent, does the order matter?
"""
