"""How a face finds, starts and talks to a run."""
