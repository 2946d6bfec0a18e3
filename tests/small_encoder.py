"""A DINOv3 ViT of four narrow blocks, known to timm in this process: the smallest of timm's own has twelve.

For tests of what is around a network (steps, checkpoints, tables, devices), where a run of twelve blocks takes twice as
long. Networks as timm has them are what `tests/aggregation_lab/model` tests and what studies in tests train.
"""

from typing import Any

from timm.models import register_model
from timm.models.eva import Eva, vit_tiny_patch16_dinov3_qkvb

from aggregation_lab.config import MoEConfig

WIDTH, DEPTH, WIDENED = 64, 4, 2
EXPERTS = MoEConfig(experts=2, blocks=WIDENED)


@register_model
def vit_mini_patch16_dinov3_qkvb(pretrained: bool = False, **options: Any) -> Eva:
    size = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": 2}
    return vit_tiny_patch16_dinov3_qkvb(pretrained, **{**size, **options})


MINI = vit_mini_patch16_dinov3_qkvb.__name__
