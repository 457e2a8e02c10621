"""Widgets: each is a function of the snapshot that it was last given."""
