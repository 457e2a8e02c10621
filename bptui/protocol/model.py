"""From a trainer's META record to the ``ModelInfo`` that faces get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bptui.protocol.messages import LayerRow, ModelInfo


def model_info(run: str, title: str, spec: Mapping[str, Any], meta: Mapping[str, Any]) -> ModelInfo:
    """``title`` and ``spec`` (of run.json) stand in where META does not give its own; unknown fields are dropped."""

    def text(name: str) -> str:
        return str(meta.get(name) or "")

    def number(name: str) -> int:
        value = meta.get(name)
        return value if isinstance(value, int) else 0

    own = meta.get("spec")
    total = meta.get("total_steps")
    return ModelInfo(
        run=run,
        title=text("title") or title,
        engine=text("engine"),
        engine_reason=text("engine_reason"),
        device=text("device"),
        dtype=text("dtype"),
        layers=tuple(_layer(row) for row in meta.get("layers") or ()),
        features=number("features"),
        outputs=number("outputs"),
        task=text("task"),
        sample=tuple(n for n in meta.get("sample") or () if isinstance(n, int)),
        steps_per_epoch=number("steps_per_epoch"),
        total_steps=total if isinstance(total, int) else None,
        optimizers=tuple(
            str(one.get("name") or "?").partition("#")[0]
            for one in meta.get("optimizers") or ()
            if isinstance(one, dict)
        ),
        spec=own.encode() if isinstance(own, str) else msgspec.json.encode(own if isinstance(own, dict) else spec),
    )


def _layer(row: Any) -> LayerRow:
    try:
        return msgspec.convert(row, LayerRow, strict=False)
    except msgspec.ValidationError:
        return LayerRow(name="?", kind="?", inputs=0, shape=(), activation="", parameters=0)
