"""Screens: the main one, and what opens above it."""
