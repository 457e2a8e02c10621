"""Every action of the table of keys in Textual's palette."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from bptui.tui.keys import Key, keys_of
from bptui.tui.screens.base import TransportScreen


class KeyCommands(Provider):
    """The rows that work on the screen below the palette."""

    def _rows(self) -> list[tuple[str, Key]]:
        screen = self.screen
        if not isinstance(screen, TransportScreen):
            return []
        script = screen.snapshot.script
        rows = [key for key in keys_of(screen.PLACE) if not (key.script if script else key.native)]
        return [(f"{key.named(script)}  ({key.shown})", key) for key in rows if key.action != "palette"]

    async def discover(self) -> Hits:
        for name, key in self._rows():
            yield DiscoveryHit(name, partial(self.screen.run_action, key.action), help=key.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, key in self._rows():
            score = max(matcher.match(name), 0.8 * matcher.match(key.help))
            if score > 0:
                yield Hit(score, matcher.highlight(name), partial(self.screen.run_action, key.action), help=key.help)
