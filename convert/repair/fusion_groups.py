"""A network as stages: a layer that computes, the activation fused into it, and what only passes its values on.

Between two stages lies one tensor. It is quantized unless both are in float, whichever of the two makes it.
"""

from dataclasses import dataclass

import keras
from keras import layers

from convert.layers import homes, parents_of

ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
# What these put out lies where their input lies.
PASSING = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Flatten,
    layers.Reshape, layers.ZeroPadding2D, layers.Cropping2D, layers.Dropout, layers.SpatialDropout2D, layers.Permute,
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """`layer` computes; `own` are the converter's layers it runs in, `passing` those behind it that compute nothing, both in
    their order; `feeds` are the stages that take its values, by their `layer`."""

    layer: str
    own: tuple[str, ...]
    passing: tuple[str, ...]
    feeds: tuple[str, ...]


def stages(model: keras.Model, converted: tuple[str, ...]) -> tuple[Stage, ...]:
    """The stages of `model`, in order. `converted` are the converter's layers: a stage that has none of them is left out."""
    home = homes(model)
    stage_of: dict[str, str] = {}
    own: dict[str, list[str]] = {}
    passing: dict[str, list[str]] = {}
    feeds: dict[str, list[str]] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        parents = [name for name in parents_of(layer) if name in stage_of]
        before = stage_of[parents[0]] if len(parents) == 1 else ""
        fused = before and (home[layer.name] == before or (isinstance(layer, ACTIVATIONS) and parents[0] in own[before]))
        if fused or (before and isinstance(layer, (*ACTIVATIONS, *PASSING))):
            (own if fused else passing)[before].append(layer.name)
            stage_of[layer.name] = before
            continue
        stage_of[layer.name] = layer.name
        own[layer.name], passing[layer.name], feeds[layer.name] = [layer.name], [], []
        for parent in parents:
            feeds[stage_of[parent]].append(layer.name)

    def kept(names: list[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in converted)

    return tuple(Stage(name, kept(own[name]), kept(passing[name]), tuple(feeds[name])) for name in own if kept(own[name]))


def with_what_it_feeds(stage: Stage, every: tuple[Stage, ...]) -> tuple[str, ...]:
    """What to leave in float for the tensor `stage` makes to stay in float too."""
    return (*stage.own, *stage.passing, *fed_by(stage, every))


def fed_by(stage: Stage, every: tuple[Stage, ...]) -> tuple[str, ...]:
    """What to leave in float for the stages that `stage` feeds to compute in float."""
    return tuple(name for other in every if other.layer in stage.feeds for name in other.own)
