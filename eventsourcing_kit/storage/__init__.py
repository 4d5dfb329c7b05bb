"""Where bytes are kept: SlateDB, and a folder that is safe on its device.

Each module imports only from those above it.

    keys             the keys of the store's rows
    location         where a store lives: memory, a folder or a bucket
    device           what reaches the device: syncs, the flag by which files are written through, this boot's name
    marker           the file that says where the log ended, how much is on the device, and which journal there is
    worker           a thread that does tasks in turn
    interrupts       signals put off, while a thread is in the middle of what must not be left half-done
    in_flight        calls into the storage's library: a process ends between them, a forked child makes none
    lifecycle        whether a store's handle is open and may write, and every step of that
    journal_entries  the bytes of a journal
    journal          the file in a store's folder to which commits are appended before SlateDB has them
    journal_reader   the journal, read beside its owner
    overlay          rows that stand in the journal and not yet in SlateDB's tables; reads see both as one
    slate            the only package that talks to SlateDB
    wal              the write-ahead files of a folder, looked at before SlateDB sees them
    sweep            what a folder needs no more, removed
    local_folder     a store's folder on disk, made ready and synced
    diagnosis        why a bucket does not answer
    damage           which files of a folder are damaged
    repair           what a power cut left half-written is set aside
"""
