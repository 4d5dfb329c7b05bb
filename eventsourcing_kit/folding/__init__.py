"""Events become state: projections, deciders, snapshots, histories.

Each module imports only from those above it.

    projection       how events become state, written down as pure functions
    decider          commands decided: `decide`, `evolve` and a first state
    purity           handlers that change their state in place, found
    replay           folding a projection over the log
    state_json       states as JSON, where they read back the same
    snapshots        saved states from which replays go on
    snapshot_frames  which snapshots there are, and what they save
    handling         a command's way: load, decide, append, and again on a conflict
    milestones       the states of all keys at a moment, found from the nearest point that is kept
    history          every state there was, with its interval; `diff`, `blame`, `first`
    difference       expected against actual, field by field
"""
