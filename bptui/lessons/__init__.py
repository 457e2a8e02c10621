"""Lessons: what is told, asked and checked, as data; a folder a lesson. Nothing here draws or trains."""
