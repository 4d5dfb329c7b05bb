"""Projections as tables of a reporting database.

Each module imports only from those above it.

    duck          the only module that talks to DuckDB
    catalogue     what a reporting database keeps of itself and of each table
    sql_values    values on their way into a table: SQL types, and the wider of two
    columns       which columns a projection's table has
    table         what every table is and does; a kind of table is a subclass of it
    events_table  the raw log as a table
    state_fold    a fold that a table goes on with, and by what its rows were made
    state_table   a projection's states as a table
    follower      tables kept at a store's heels, inline or in a thread
"""
