"""Fills the generated blocks of every page and draws the pictures."""

from __future__ import annotations

from pathlib import Path

from making import preset_pages, reference, slips, small, worked
from making.blocks import Maker, filled

DOCS = Path(__file__).resolve().parents[1]

#: Blocks that only read code and files: their pages are always up to date, and a test compares them.
FAST: dict[str, Maker] = {
    "experiment": reference.experiment_tables,
    "sources": reference.sources,
    "struct": reference.struct,
    "members": reference.members,
    "record-names": reference.record_names,
    "keys": reference.keys,
    "grammar": reference.grammar,
    "condition-names": reference.condition_names,
    "condition-functions": reference.condition_functions,
    "toml": preset_pages.toml,
    "figures": preset_pages.figures,
    "against": preset_pages.against,
    "findings": preset_pages.findings,
    "curve": preset_pages.curve,
    "norms": preset_pages.norms,
    "presets": preset_pages.index,
    "scales": preset_pages.scales,
    "small-example": small.small_example,
}
#: Blocks that start the program or train.
SLOW: dict[str, Maker] = {
    "binary-sample": worked.binary_sample,
    "binary-ledger": worked.binary_ledger,
    "binary-gradient": worked.binary_gradient,
    "binary-differences": worked.binary_differences,
    "slips": slips.slips_table,
}
MAKERS = {**FAST, **SLOW}


def pages() -> list[Path]:
    """Every Markdown page of the documentation."""
    return sorted(DOCS.rglob("*.md"))


def write() -> list[Path]:
    """Make every page and picture anew; returns what has changed."""
    changed = []
    made = {page: filled(page.read_text("utf-8"), MAKERS) for page in pages()}
    made |= {DOCS / name: text for name, text in preset_pages.pictures().items()}
    for path, text in made.items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            changed.append(path)
    return changed
