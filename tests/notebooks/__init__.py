"""What runs the notebooks: `save` re-executes and saves them, `execution` is how one is run."""
