"""One network in several widths: timm's ConvNeXt with a block at each stride, all of one width, and nothing else.

timm has no such family as narrow as this, so it is registered here, in this process.
"""

from typing import Any

import timm
from timm.models.convnext import ConvNeXt

STAGES = 4


def encoder(width: int) -> str:
    """The name of the network whose maps all have `width` channels, known to timm from now on."""
    name = f"narrow_convnext_{width}"
    if not timm.is_model(name):

        def build(pretrained: bool = False, **options: Any) -> ConvNeXt:
            known = {key: value for key, value in options.items() if not key.startswith(("pretrained", "cache"))}
            network: Any = ConvNeXt(
                depths=(1,) * STAGES, dims=(width,) * STAGES, kernel_sizes=3, norm_eps=1e-3, **known
            )
            network.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
            return network

        build.__name__, build.__module__ = name, __name__
        timm.models.register_model(build)
    return name
