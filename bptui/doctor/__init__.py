"""``bptui doctor``: what this terminal and this machine can do, each fact with a judgement and advice."""
