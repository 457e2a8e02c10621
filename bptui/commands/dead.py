"""``bptui dead``: which units of a run are dead, and the certificate of one of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bptui.commands.common import UsageError, add_named_run, check_to, progress_bar, same_threads

if TYPE_CHECKING:
    from bptui.protocol.certificate import Certificate
    from bptui.protocol.lens import LensView


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    parser.add_argument("--to", type=int, metavar="N", help="look at this step (default: the last)")
    parser.add_argument("--layer", metavar="L", help="the death certificate of a unit of this layer …")
    parser.add_argument("--unit", type=int, metavar="U", help="… the unit's number, from 0")
    parser.add_argument("--json", action="store_true", help="as JSON")


def act(arguments: argparse.Namespace) -> int:
    import msgspec

    from bptui.client.discover import resolve

    check_to(arguments)
    if (arguments.layer is None) != (arguments.unit is None):
        raise UsageError("--layer and --unit name one unit together")
    run = resolve(arguments.run)
    same_threads(run)
    os.nice(10)
    from bptui.trainer.deaths import certify, view_at

    found: LensView | Certificate
    with progress_bar("looking", arguments.to) as progress:
        if arguments.layer is None:
            found = view_at(run, arguments.to, progress)
            lines = _table(found)
        else:
            found = certify(run, arguments.layer, arguments.unit, arguments.to, progress)
            lines = certificate_lines(found)
    print(msgspec.json.encode(found).decode() if arguments.json else "\n".join(lines))
    return 0


def _table(view: LensView) -> Iterator[str]:
    from bptui.protocol.lens import UnitState, firing_words

    yield f"step {view.step:,} · {view.claim} · dropout off"
    for layer in view.layers:
        counts = ", ".join(
            f"{layer.count(state)} {state.name.lower()}" for state in reversed(UnitState) if layer.count(state)
        )
        yield f"{layer.name}  {layer.activation}  {counts}   ({firing_words(layer.gate)})"
        if layer.lost:
            yield f"  {'saturated' if layer.gate != 'zero' else 'dead'}: {' '.join(map(str, layer.lost))}"


def certificate_lines(found: Certificate) -> Iterator[str]:
    """The certificate for a page or a pipe."""
    from bptui.protocol.certificate import verdict

    yield verdict(found)
    yield f"0 of {found.samples:,} samples from there to step {found.at:,}"
    if found.last_fired is None:
        return
    yield f"Δ max z {found.parts.total:+.4g} = " + "  ".join(
        f"{name} {value:+.4g}"
        for name, value in (
            ("Δb", found.parts.bias), ("ΔW", found.parts.weights), ("inputs", found.parts.upstream),
            ("another sample", found.parts.other),
        )
    )  # fmt: skip
    yield (
        f"Δb {found.bias_step:+.4g}  ‖ΔW‖ {found.weights_step:.4g} of ‖W‖ {found.weights_before:.4g}  "
        f"‖∂L/∂W‖ {found.gradient:.4g} of {found.gradient_all:.4g}  loss {found.loss:.4g}"
    )
    yield f"this batch pulled z by {found.pulls:+.4g}, momentum and the rest of {found.optimizer} by {found.rest:+.4g}"
    for driver in found.drivers[:5]:
        yield f"  row {driver.row}  {driver.target}  δ {driver.delta:+.4g}  pull {driver.pull:+.4g}"
    if found.also:
        yield f"with it fell silent: units {' '.join(map(str, found.also))}"
    if found.first is not None:
        which = ", ".join(f"{layer} unit {unit}" for layer, unit in found.first_ids)
        more = " …" if found.first_units > len(found.first_ids) else ""
        yield f"the first to fall silent ({which}{more}) did so in the update from step {found.first:,}"
    if found.not_comparable:
        yield f"not comparable: {found.not_comparable}"
