"""A network of any kind as the text of a PyTorch module, and where its parameters lie in it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from bptui.export.errors import ExportError
from bptui.export.script_pieces import PIECES
from bptui.export.torch_kinds import ACTIVATIONS, KINDS
from bptui.spec.layers.base import Parameter, Shape, Steps, activation_of, branches_of, dropout_of, size
from bptui.spec.shapes import BATCH, Placed, ends_of

STATE = '''


def load_initial_values(path):
    """Put the parameters of step 0 in place. (A safetensors file is a length, a JSON header, and plain numbers.)"""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    for name, tensor in TENSORS.items():
        about = header[name]
        first, last = about["data_offsets"]
        values = np.frombuffer(data[begin + first : begin + last], {"F32": "<f4", "F64": "<f8"}[about["dtype"]])
        with torch.no_grad():
            tensor.copy_(torch.tensor(values.reshape(about["shape"])))


load_initial_values(Path(__file__).with_suffix(".initial.safetensors"))'''


def identifiers(placed: Sequence[Placed]) -> list[str]:
    """A name in Python of each layer."""
    taken = {"x", "self", "nn", "torch", "lengths", "math", "np", "forward", "train", "eval", "modules", *PIECES}
    found = []
    for index, place in enumerate(placed):
        name = re.sub(r"\W", "_", place.name)
        if keyword.iskeyword(name) or name in taken or not name.isascii() or name.endswith("_lengths"):
            name = f"layer_{index + 1}"
        taken.add(name)
        found.append(name)
    return found


def attribute(place: Placed, name: str, each: Parameter) -> str:
    """A parameter or buffer of the layer called ``name`` in the script, with ``.T`` where torch has it turned."""
    where = KINDS[place.kind].where(each)
    return f"model.{name}.{where}" if where else f"model.{name}"


def network(placed: Sequence[Placed], classes: bool, padded: bool) -> str:
    """The class, the model, and the table of its tensors by the names of a run. ExportError names a layer.

    ``padded``: ``forward`` takes the lengths (N,) of the sequences, and what lies beyond them is 0 after each layer.
    """
    names = identifiers(placed)
    modules: list[str] = []
    lines: list[str] = []

    def after(place: Placed, steps: Steps, own: str) -> str:
        its = f"{names[placed.index(place)]}_lengths"
        lines.append(f"{its} = (({own} * {steps.factor} + {steps.reach}) // {steps.stride} + 1).clamp(min=1)")
        return its

    for place, name, ends in zip(placed, names, ends_of(placed, "lengths" if padded else None, after), strict=True):
        kind = KINDS.get(place.kind)
        if kind is None:
            raise ExportError(f"{place.name}: a layer of type {place.kind} cannot be exported to pytorch")
        if made := kind.module(place, ends.read or ""):
            modules.append(f"self.{name} = {made}")
        given = [
            _batch(shape) if source == BATCH else names[source]
            for source, shape in zip(place.sources, place.inputs, strict=True)
        ]
        value = kind.call(place, f"self.{name}", given, ends.read or "")
        activation = activation_of(place.layer)
        if activation != "identity":
            value = f"{ACTIVATIONS[activation]}({value})"
        if ends.given:
            value = f"ended({value}, {ends.given})"
        if (rate := dropout_of(place.layer)) and not branches_of(place.layer):
            modules.append(f'self.{name}_dropout = Dropout("{place.name}", {size(place.geometry.output)}, {rate!r})')
            value = f"self.{name}_dropout({value})"
        lines.append(f"{name} = {value}")
    output = placed[-1].geometry.output
    if len(output) > 1:
        lines.append(f"{names[-1]} = {names[-1]}" + (".transpose(1, 2)" if classes else ".flatten(1)"))
    text = ["class Network(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    text += [f"        {line}" for line in modules]
    text += ["", f"    def forward(self, x{', lengths' * padded}):", *(f"        {line}" for line in lines)]
    text.append(f"        return {names[-1]}")
    text += ["", "", "model = Network().to(DTYPE)", "TENSORS = {"]
    for place, name in zip(placed, names, strict=True):
        for each in (*place.geometry.parameters, *place.geometry.buffers):
            text.append(f'    "{place.name}.{each.name}": {attribute(place, name, each)},')
    text.append("}")
    text += [
        f"model.{name}.requires_grad_(False)  # frozen"
        for place, name in zip(placed, names, strict=True)
        if place.layer.freeze and place.geometry.parameters
    ]
    return "\n".join(text) + STATE


def _batch(shape: Shape) -> str:
    return f"x.reshape(-1, {', '.join(map(str, shape))})" if len(shape) > 1 else "x"
