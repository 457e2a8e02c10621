"""One command a file: ``add(parser)`` says what it takes, ``act(arguments)`` does it and returns the exit status."""
