"""What runs the notebooks: `save` runs and saves them, `pages` makes pages of them, `execution` is how one is run."""
