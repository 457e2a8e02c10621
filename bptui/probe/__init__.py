"""What is measured, when, and what it costs."""
