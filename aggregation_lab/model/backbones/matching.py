"""Which tensors of a checkpoint are those of an encoder: prefixes off, names as timm has them, sizes alike.

A file may hold more than the encoder, under names of its own: `model.`, `module.`, `backbone.`, `encoder.`,
`visual.trunk.` before each name, a text tower or a decoder beside it. No list of such words is kept: of all parts of
the file, the one is taken that covers most of the encoder after timm's own `checkpoint_filter_fn` of that family, which
knows the releases of DINOv2, DINOv3, CLIP, SAM, Swin or ConvNeXt and interpolates positions.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_PART = 0.1
"""A part of the file with fewer tensors than this share of the encoder's is not looked at."""
MOST_PARTS = 40


@dataclass(frozen=True)
class Match:
    """`fitting` tensors by the encoder's names; `share` of its parameters that they are; `missing` names; `misshapen`
    ones with both sizes; `unused` names of the file."""

    fitting: dict[str, Tensor]
    share: float
    missing: list[str]
    misshapen: list[str]
    unused: list[str]
    prefix: str

    @property
    def rank(self) -> tuple[float, bool, int, int]:
        """Of parts that cover as much, an average or a teacher before what it was made of, then the tidier one."""
        averaged = bool(re.search("ema|teacher", self.prefix))
        return self.share, averaged, -len(self.unused), -len(self.prefix)


def best_match(name: str, network: Any, tensors: Mapping[str, Tensor]) -> Match:
    """How the tensors fit a network of timm, by its name there; one on the meta device will do."""
    expected = {key: value for key, value in network.state_dict().items() if not _IGNORED.search(key)}
    weights = {key: value.numel() for key, value in network.named_parameters()}
    classifier = tuple(f"{head}." for head in _classifier(network))
    found = []
    for prefix in _prefixes(tensors, len(expected)):
        inside = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        outside = [key for key in tensors if not key.startswith(prefix)]
        for state, dropped in _as_timm_names_them(name, network, inside, expected):
            state = {key: _resized(key, value, expected.get(key)) for key, value in state.items()}
            both = expected.keys() & state.keys()
            fitting = {key: state[key] for key in both if state[key].shape == expected[key].shape}
            covered = sum(weights.get(key, 0) for key in fitting)
            inner = (key for key in state if key not in expected and not _IGNORED.search(key))
            found.append(
                Match(
                    fitting,
                    covered / max(1, sum(weights.values())),
                    sorted(expected.keys() - state.keys()),
                    [f"{k} {_size(state[k])} instead of {_size(expected[k])}" for k in sorted(both - fitting.keys())],
                    sorted(key for key in inner if not key.startswith(classifier)) + sorted([*dropped, *outside]),
                    prefix,
                )
            )
    return max(found, key=lambda match: match.rank)


_IGNORED = re.compile(r"(relative_position_index|relative_coords_table|attn_mask|num_batches_tracked)$")
"""What networks compute themselves, or count without using it."""


def _classifier(network: Any) -> tuple[str, ...]:
    """timm's names of the layer that is left out."""
    named = network.pretrained_cfg.get("classifier") or ()
    return (named,) if isinstance(named, str) else tuple(named)


def _size(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _prefixes(tensors: Mapping[str, Tensor], expected: int) -> list[str]:
    """Beginnings of names that enough tensors share, none of them inside a numbered list; the empty one first."""
    counts: Counter[str] = Counter()
    for key in tensors:
        parts = key.split(".")[:-1]
        numbered = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts))
        counts.update(".".join(parts[: place + 1]) + "." for place in range(numbered))
    common = [prefix for prefix, count in counts.most_common(MOST_PARTS) if count >= LEAST_PART * expected]
    return ["", *common]


def _as_timm_names_them(
    name: str, network: Any, state: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """The part as timm's own filter of that family makes it, with what the filter left out, and the part as it is."""
    renamed = _copied_tables(_renamed(state), expected)
    module = sys.modules[timm.model_entrypoint(name.split(".")[0]).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None)
    # a part that the filter does not know fails in its own way, and some filters print
    with suppress(Exception), redirect_stdout(StringIO()):
        converted = convert(dict(renamed), network) if convert else {}
        kept = {key: value for key, value in converted.items() if isinstance(value, Tensor)}
        yield _one_norm(kept, expected), _left_out(renamed, kept)
    yield _one_norm(renamed, expected), []


def _left_out(state: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> list[str]:
    """What stood beside the one tower that a filter took, such as CLIP's text or SAM's decoder, and biases of attention
    that DINOv3's filter drops where the network has none, which loses nothing only where they are zero."""
    places = {value.untyped_storage().data_ptr() for value in kept.values()}
    taken = {key.split(".")[0] for key, value in state.items() if value.untyped_storage().data_ptr() in places}
    beside = [key for key in state if key.split(".")[0] not in taken] if len(taken) == 1 else []
    lost = [
        key
        for key, value in state.items()
        if key.endswith("qkv.bias") and value.untyped_storage().data_ptr() not in places and bool(value.any())
    ]
    return beside + lost


_MM_RULES = [
    (r"^layers\.(\d+)\.", r"blocks.\1."),
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^ln1\.", "norm."),
    (r"\.ln(\d)\.", r".norm\1."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
    (r"^channel_reduction\.", "neck."),
]
"""Names of OpenMMLab's ViTs (mmpretrain, mmdet, mmseg), which UltraSam is saved with, and timm's."""


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    rules = [(r"^((?:blocks\.\d+\.)mlp)\.lin(\d)\.", r"\1.fc\2.")]  # SAM's own encoder
    if any(re.match(r"layers\.\d+\.ffn\.layers\.", key) for key in state):
        rules += _MM_RULES
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    return renamed


def _one_norm(state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The last norm has one of two names, by whether tokens are normalised before or after their mean is taken."""
    for one, other in (("norm.", "fc_norm."), ("fc_norm.", "norm.")):
        if f"{other}weight" in expected and not {f"{one}weight", f"{other}weight"} & (expected.keys() & state.keys()):
            state = {key.replace(one, other, 1) if key.startswith(one) else key: v for key, v in state.items()}
    return state


_SHARED_TABLE = "rel_pos_bias.relative_position_bias_table"


def _copied_tables(state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """BEiT and USFM pretrain with one table of relative positions that all blocks share, then train one per block."""
    if _SHARED_TABLE not in state or _SHARED_TABLE in expected:
        return state
    table = state.pop(_SHARED_TABLE)
    own = [key for key in expected if re.fullmatch(r"blocks\.\d+\.attn\.relative_position_bias_table", key)]
    return state | {key: table.clone() for key in own if key not in state}


def _resized(key: str, value: Tensor, expected: Tensor | None) -> Tensor:
    """SAM's positions at the size of the images, as its own code interpolates them: a map 1 x h x w x D and, of each
    axis, a table of relative places."""
    if expected is None or value.shape == expected.shape or value.shape[-1] != expected.shape[-1]:
        return value
    if key == "pos_embed" and value.ndim == expected.ndim == 4:
        resized = F.interpolate(value.movedim(-1, 1).float(), size=expected.shape[1:3], mode="bicubic", antialias=True)
        return resized.movedim(1, -1)
    if re.search(r"\.rel_pos_[hw]$", key) and value.ndim == expected.ndim == 2:
        return F.interpolate(value.T[None].float(), size=len(expected), mode="linear")[0].T
    return value


def fill(network: Any, match: Match) -> None:
    """Put the fitting tensors into the network; the others keep their random start."""
    with torch.no_grad():
        network.load_state_dict(match.fitting, strict=False)
