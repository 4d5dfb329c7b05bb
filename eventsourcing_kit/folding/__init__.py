"""Events become state: projections, snapshots, histories.

Each module imports only from those above it.

    declared         folds that are declared, not written: their definition, and the handlers made of it
    projection       how events become state, written down as pure functions
    replay           folding a projection over the log
    running          declared folds over columns: the state after each row at once
    rows             handled events as columns, and the states after them
    columnar         declared folds over a log, kept for the next question
    state_json       states as JSON, where they read back the same
    snapshots        saved states from which replays go on
    snapshot_frames  which snapshots there are, and what they save
    keyframes       the states of all keys at a moment, found from the nearest point that is kept
    history          every state there was, with its interval; `diff`, `blame`, `first`
    difference       expected against actual, field by field
    comparison       two histories: where they part, and what differs as of a time
"""
