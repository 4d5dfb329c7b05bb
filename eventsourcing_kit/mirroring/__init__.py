"""A log mirrored in Parquet files, bucketed by key, so that others read and fold it: here, or on many machines.

Each module imports only from those above it.

    arrow        pyarrow, which reads and writes Parquet, loaded when first used
    places       a folder, or a bucket on S3: files that are written once, and one that is replaced
    manifest     which files make up a mirror, and how far it goes
    buckets      whose key is in which bucket
    columns      payload fields as typed columns where that is exact, as JSON elsewhere; and back
    blocks       rows of a mirror's files, read as a commit is read
    tables       commits as Arrow tables, one a bucket
    files        a mirror's files: encoded, opened and checked, merged
    view         a mirror, or one of its buckets, read as a log is read
    tasks        one bucket, folded or made a frame: what a worker does
    updating     what is new in a log, added to its mirror
    verifying    whether a mirror is its store's
    spread       all buckets: here one after another, or as tasks of Dask
    dask_frames  frames of all buckets as one Dask DataFrame
    mirror       `Mirror`, which people type against
"""
