"""The log handed on as it grows: subscriptions and iterators.

Each module imports only from those above it.

    parked        events on which a handler failed: what to do, and what is kept of them
    checkpoint    how far a named subscription came, kept beside the log
    delivery      a handler called with the events of a log, in order, each once
    subscriber    the thread behind a subscription
    waiting       waiting for a position, and naming the laggard
    subscription  a subscription, as people hold it
    followers     what follows one store's log: its subscriptions, and the iterator that goes on
"""
