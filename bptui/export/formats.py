"""What a run can be exported to: a format is one row here, and the function that makes its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bptui.export.files import Content
from bptui.export.trained import open_trained

Files = dict[Path, Content]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may ask for."""

    scaler: bool = True
    """onnx: scale the rows inside the model."""


@dataclass(frozen=True, slots=True)
class Format:
    """``make(run, path, options)`` gives the files to write, ``path`` among them."""

    suffix: str
    about: str
    make: Callable[[Path, Path, Options], Files]


def _pytorch(run: Path, path: Path, options: Options) -> Files:
    from bptui.export.pytorch import pytorch_files

    return pytorch_files(run, path)


def _onnx(run: Path, path: Path, options: Options) -> Files:
    from bptui.export.onnx_model import as_onnx

    return {path: as_onnx(open_trained(run), scaler=options.scaler)}


def _safetensors(run: Path, path: Path, options: Options) -> Files:
    from bptui.export.weights import as_safetensors

    return {path: as_safetensors(open_trained(run))}


def _csv(run: Path, path: Path, options: Options) -> Files:
    from bptui.export.series import as_csv, read_series

    return {path: as_csv(read_series(run))}


def _json(run: Path, path: Path, options: Options) -> Files:
    from bptui.runs.report import encode, report

    return {path: encode(report(run))}


FORMATS = {
    "pytorch": Format(".py", "a script that stands alone and repeats the run, its data beside it", _pytorch),
    "onnx": Format(".onnx", "the network with its scaling; lengths of padded samples go in beside them", _onnx),
    "safetensors": Format(".safetensors", "the parameters alone", _safetensors),
    "csv": Format(".csv", "loss, learning rate and metrics, one row a step", _csv),
    "json": Format(".json", "the report", _json),
}
