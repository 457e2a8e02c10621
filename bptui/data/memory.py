"""How much memory a reader may take."""

from __future__ import annotations

from pathlib import Path

#: Share of the free memory that data may fill; the rest is for the network and everyone else.
SHARE = 0.8
_UNKNOWN = 8 << 30


def available() -> int:
    """Bytes that data may take now: of the machine's free memory or the container's limit, whichever is less."""
    free = _UNKNOWN
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        free = min(free, limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no limit ("max") or no cgroup
    return max(0, int(SHARE * free))
