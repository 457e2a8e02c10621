"""The hub: drains the ring, writes the run directory, serves faces."""
