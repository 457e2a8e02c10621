"""The terminal UI: a face that draws what the hub sends."""
