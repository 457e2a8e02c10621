"""``python -m bptui.attach RUN_DIR -- SCRIPT|-m MODULE ARGUMENTS…``: the process of a user's script."""

from __future__ import annotations

import sys

from bptui.attach.runner import main

if __name__ == "__main__":
    main(sys.argv[1:])
