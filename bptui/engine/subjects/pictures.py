"""Layers of pictures: each kind and each of its options, over a small picture and under a layer that passes δ on."""

from __future__ import annotations

from collections.abc import Iterator

from bptui.engine.subjects.base import Subject, layers
from bptui.spec.experiment import Dense
from bptui.spec.layers import Layer
from bptui.spec.layers.conv import Conv1d, Conv2d, ConvTranspose2d
from bptui.spec.layers.norm import BatchNorm, GroupNorm
from bptui.spec.layers.pool import AveragePool, GlobalPool, MaxPool, Upsample
from bptui.spec.layers.shape import Add, Concat, Flatten

PICTURE, SEQUENCE = (2, 6, 5), (7, 4)
#: Makes four channels, and has weights of its own: their gradient shows ∂L/∂x of what is above.
FIRST = Conv2d(units=4, padding=1, activation="tanh")
FIRST_STEPS = Conv1d(units=4, padding=1, activation="tanh")


#: Name → the layers between the first and the last.
OVER_PICTURES: dict[str, tuple[Layer, ...]] = {
    "conv2d": (Conv2d(units=3, activation="tanh"),),
    "conv2d 1×1": (Conv2d(units=3, kernel=1),),
    "conv2d strided, padded": (Conv2d(units=3, kernel=(3, 2), stride=2, padding=1),),
    "conv2d dilated": (Conv2d(units=3, kernel=(3, 2), dilation=2, padding="same"),),
    "conv2d groups": (Conv2d(units=6, groups=2, stride=(1, 2)),),
    "conv2d depthwise": (Conv2d(units=4, groups=4, padding="same"),),
    "conv_transpose2d": (ConvTranspose2d(units=3, activation="tanh"),),
    "conv_transpose2d strided, groups": (ConvTranspose2d(units=4, stride=2, padding=1, output_padding=1, groups=2),),
    "max_pool": (MaxPool(),),
    "max_pool overlapping": (MaxPool(kernel=3, stride=2, padding=1),),
    "average_pool": (AveragePool(),),
    "average_pool overlapping": (AveragePool(kernel=3, stride=1, padding=1),),
    "global_pool average": (GlobalPool(),),
    "global_pool max": (GlobalPool(mode="max"),),
    "upsample nearest": (Upsample(factor=(2, 3)),),
    "upsample bilinear": (Upsample(mode="bilinear"),),
    "batch_norm": (BatchNorm(activation="tanh"),),
    "group_norm": (GroupNorm(groups=2, activation="tanh"),),
    "residual block": (
        BatchNorm(activation="relu", name="before"),
        Conv2d(units=4, padding=1, activation="relu"),
        Conv2d(units=4, padding=1),
        Add(of=("before",), activation="relu"),
    ),
    "skip connection": (Conv2d(units=3, padding=1, name="c"), Concat(of=("conv2d1",))),
}
OVER_SEQUENCES: dict[str, tuple[Layer, ...]] = {
    "conv1d": (Conv1d(units=3, padding="same", activation="tanh"),),
    "conv1d strided, dilated, groups": (Conv1d(units=4, stride=2, dilation=2, padding=1, groups=2),),
    "max_pool of steps": (MaxPool(),),
    "average_pool of steps": (AveragePool(kernel=3, stride=2),),
    "batch_norm of steps": (BatchNorm(),),
    "group_norm of steps": (GroupNorm(groups=2),),
}


def subjects() -> Iterator[Subject]:
    for name, model in OVER_PICTURES.items():
        yield layers(name, (FIRST, *model, Flatten(), Dense(units=3)), PICTURE)
    for name, model in OVER_SEQUENCES.items():
        yield layers(name, (FIRST_STEPS, *model, Flatten(), Dense(units=3)), SEQUENCE)
