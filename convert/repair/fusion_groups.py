"""A network as fusion groups: a layer that computes, with the activation fused into it, and the layers behind that only pass
its values on.

Between two groups lies one tensor. It is quantized unless both groups are in float.
"""

from dataclasses import dataclass

import keras
from keras import layers

from convert.layers import fused_into, parents_of

ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
# The range of their output is that of their input.
PASSTHROUGH = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Flatten,
    layers.Reshape, layers.ZeroPadding2D, layers.Cropping2D, layers.Dropout, layers.SpatialDropout2D, layers.Permute,
)  # fmt: skip


@dataclass(frozen=True)
class FusionGroup:
    """`layer` computes. `fused` are the converter's layers that run as one with it, `passthrough` those behind that compute
    nothing, both in the model's order. `consumers` are the groups that take its values, by their `layer`."""

    layer: str
    fused: tuple[str, ...]
    passthrough: tuple[str, ...]
    consumers: tuple[str, ...]


def fusion_groups(model: keras.Model, converted: tuple[str, ...]) -> tuple[FusionGroup, ...]:
    """The groups of `model`, in order. A group without any of `converted`, the converter's layers, is left out."""
    targets = fused_into(model)
    group_of: dict[str, str] = {}
    fused: dict[str, list[str]] = {}
    passthrough: dict[str, list[str]] = {}
    consumers: dict[str, list[str]] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        parents = [name for name in parents_of(layer) if name in group_of]
        group = group_of[parents[0]] if len(parents) == 1 else ""
        joins = group and (targets[layer.name] == group or (isinstance(layer, ACTIVATIONS) and parents[0] in fused[group]))
        if joins or (group and isinstance(layer, (*ACTIVATIONS, *PASSTHROUGH))):
            (fused if joins else passthrough)[group].append(layer.name)
            group_of[layer.name] = group
            continue
        group_of[layer.name] = layer.name
        fused[layer.name], passthrough[layer.name], consumers[layer.name] = [layer.name], [], []
        for parent in parents:
            consumers[group_of[parent]].append(layer.name)

    def known(names: list[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in converted)

    groups = (FusionGroup(name, known(fused[name]), known(passthrough[name]), tuple(consumers[name])) for name in fused)
    return tuple(group for group in groups if group.fused)


def with_consumers(group: FusionGroup, groups: tuple[FusionGroup, ...]) -> tuple[str, ...]:
    """The layers that must be in float for the tensor that `group` makes to be in float too."""
    return (*group.fused, *group.passthrough, *consumers(group, groups))


def consumers(group: FusionGroup, groups: tuple[FusionGroup, ...]) -> tuple[str, ...]:
    """The layers that must be in float for the groups that take the values of `group` to compute in float."""
    return tuple(name for other in groups if other.layer in group.consumers for name in other.fused)
