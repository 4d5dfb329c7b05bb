"""Projections as tables of a reporting database.

Each module imports only from those above it.

    duck             the only module that talks to DuckDB
    sql_values       values on their way into a table: SQL types, and the wider of two
    table_columns    which columns a projection's table has
    state_table      a projection's states as rows, and those there were
    events_table     the raw log as a table
    table_fold       a fold that a table goes on with, and by what its rows were made
    table_release    a table from its first row to its rebuild: rows and checkpoint move as one
    table_catalogue  what a reporting database keeps of itself
    reported_table   one table: how far it is, and one step of its way
    table_lag        how far behind tables are, as a frame and as an error
    table_follower   tables kept at a store's heels, inline or in a thread
"""
