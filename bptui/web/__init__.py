"""``bptui serve``: the screen in a browser of this machine. Needs ``bptui[serve]``."""
