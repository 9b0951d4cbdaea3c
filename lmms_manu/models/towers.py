"""Which tower of a model a module belongs to, which layer it stands in, and how many vision layers are read.

A transformers model says what its parts are: each is built from a sub-configuration (`vision_config`, `text_config`,
...), and holds it as its `config`. The name of that sub-configuration decides the tower.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from lmms_manu.models.projections import Candidate
from lmms_manu.models.tower_names import LANGUAGE, VISION

_OUTSIDE = "outside"

_NEITHER = re.compile(
    r"audio|speech|sound|protein|perceiver|resampler|connector|projector|projection|merger|adapter|aligner|abstractor"
    r"|q_?former|_vq|vq_|vqmodel|dit\b|action|talker|speculative|mtp"
    r"|video_tower"  # beside a tower for pictures, and never given one
)
_VISION = re.compile(r"vision|visual|image|vit\b|\bsam\b")
_LANGUAGE = re.compile(r"text|language|llm|decoder|thinker")
_PICTURE_INPUTS = ("pixel_values", "flattened_patches")
_FEATURE_LAYER = re.compile(
    r"(mm_)?(vision|image|visual|vit)_(feature_|select_)?layers?|(feature|select)_layers?", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One element of a stack of transformer layers: the stack's name, the position in it, and the stack's length."""

    stack: str
    index: int
    depth: int


class TowerMap:
    """Assigns the modules of `model` to towers and layers.

    Args:
        model: the whole model.
        candidates: the MLP blocks that are known; what else bears weights beside them makes a transformer layer.
    """

    def __init__(self, model: nn.Module, candidates: Iterable[Candidate]) -> None:
        self._modules = dict(model.named_modules())
        self._config: PreTrainedConfig | None = getattr(model, "config", None)
        self._keys = dict(_configuration_keys(self._config)) if self._config is not None else {}
        in_mlp = {slot.parameter for candidate in candidates for slot in candidate.slots}
        self._mixers = [
            name for name, parameter in model.named_parameters() if parameter.dim() > 1 and name not in in_mlp
        ]
        self._embedding_width = _embedding_width(model)
        self._layers: dict[str, bool] = {}

    def tower_of(self, holder: str, width: int) -> str | None:
        """The tower of the module called `holder`, whose inputs have `width` features; None for neither."""
        if any(_NEITHER.search(part) for part in holder.split(".")):
            return None
        for module, config in self._configured(holder):
            role = _role(self._keys.get(id(config), ""), config, module)
            if role is not None:
                return None if role == _OUTSIDE else role
        # What is left is built from the model's own configuration: either the language model itself, whose layers are
        # as wide as its embeddings, or a part between the towers.
        if _VISION.search(holder):
            return VISION
        return LANGUAGE if self._embedding_width in (None, width) else None

    def config_of(self, holder: str) -> PreTrainedConfig | None:
        """The configuration that the module called `holder` is built from."""
        return next((config for _, config in self._configured(holder)), self._config)

    def _configured(self, holder: str) -> Iterator[tuple[nn.Module, PreTrainedConfig]]:
        """The modules around `holder`, from the inside, that hold a sub-configuration of their own."""
        for ancestor in _ancestors(holder):
            config = getattr(self._modules[ancestor], "config", None)
            if isinstance(config, PreTrainedConfig) and config is not self._config:
                yield self._modules[ancestor], config

    def layer_of(self, holder: str) -> Layer | None:
        """The transformer layer around `holder`; None where it stands in none (a pooling head, a merger)."""
        for ancestor in _ancestors(holder):
            stack, _, index = ancestor.rpartition(".")
            if not index.isdigit() or not isinstance(self._modules[stack], (nn.ModuleList, nn.Sequential)):
                continue
            if self._mixes(ancestor):
                return Layer(stack, int(index), len(self._modules[stack]))
        return None

    def layers_read(self, layer: Layer) -> int:
        """How many layers of the vision stack of `layer` the model reads, by its setting of feature layers."""
        chosen = list(_states_read(self._config)) if self._config is not None else []
        if not chosen or self._has_siblings(layer):
            return layer.depth
        # Entry 0 of a model's hidden states is the input of layer 0, so there is one more of them than layers.
        return max(index if index >= 0 else layer.depth + 1 + index for index in chosen)

    def _has_siblings(self, layer: Layer) -> bool:
        """Whether the tower has other stacks of layers beside this one, which the setting does not count."""
        owner = layer.stack.rpartition(".")[0]
        return any(
            isinstance(module, (nn.ModuleList, nn.Sequential))
            and name.startswith(f"{owner}.")
            and not f"{name}.".startswith(f"{layer.stack}.")
            and self._mixes(f"{name}.0")
            for name, module in self._modules.items()
        )

    def _mixes(self, element: str) -> bool:
        """Whether this element of a list holds more than an MLP: something that mixes tokens, as a layer does."""
        if element not in self._layers:
            self._layers[element] = any(name.startswith(f"{element}.") for name in self._mixers)
        return self._layers[element]


def _ancestors(name: str) -> Iterator[str]:
    """`name` and the modules around it, from the inside; without the model itself."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _configuration_keys(config: PreTrainedConfig, path: str = "") -> Iterator[tuple[int, str]]:
    """The identity of each nested configuration and its dotted path in `config`."""
    yield id(config), path
    for key, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            yield from _configuration_keys(value, f"{path}.{key}" if path else key)


def _role(path: str, config: PreTrainedConfig, module: nn.Module) -> str | None:
    """The tower of a part that is built from the sub-configuration at `path`; None where nothing tells."""
    words = [*reversed(path.split(".")), config.base_config_key]
    for word in words:
        if _NEITHER.search(word):
            return _OUTSIDE
        if _VISION.search(word):
            return VISION
        if _LANGUAGE.search(word):
            return LANGUAGE
    if isinstance(module, PreTrainedModel) and module.main_input_name in _PICTURE_INPUTS:
        return VISION
    return None


def _embedding_width(model: nn.Module) -> int | None:
    """The number of features of the input embeddings; None where the model does not say."""
    if not isinstance(model, PreTrainedModel):
        return None
    try:
        return getattr(model.get_input_embeddings(), "embedding_dim", None)
    except NotImplementedError:
        return None


def _states_read(config: PreTrainedConfig) -> Iterator[int]:
    """The indices of the vision tower's hidden states that a model reads, by its settings; none if it has none."""
    values = vars(config)
    if values.get("deepstack_layer_map"):
        # Pairs of a vision layer to read and the language layer that it is added to.
        yield from (vision_layer for vision_layer, _ in values["deepstack_layer_map"])
        if isinstance(values.get("spatial_vision_layer"), int):
            yield values["spatial_vision_layer"]
        return
    yield from _feature_layers(values)
    for key, part in values.items():
        if isinstance(part, PreTrainedConfig) and not _LANGUAGE.search(key):
            # The setting of an adapter counts layers instead, so that 0 is the output of the first one.
            yield from (index + 1 if index >= 0 else index for index in _feature_layers(vars(part)))


def _feature_layers(values: Mapping[str, Any]) -> Iterator[int]:
    for key, value in values.items():
        if _FEATURE_LAYER.fullmatch(key) and isinstance(value, int):
            yield value
        elif _FEATURE_LAYER.fullmatch(key) and isinstance(value, (list, tuple)):
            yield from value
