"""The optimiser and its learning rate: the same for every unit of every aggregation."""

import math

import torch
from torch import nn

from aggregation_lab.config import TrainingConfig
from aggregation_lab.training.device import has_fused_optimizer


def warmup_steps(steps: int, warmup: float) -> int:
    """Steps of the linear rise over the first `warmup` share of `steps`."""
    return max(1, round(warmup * steps))


def schedule(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate: linear rise over the first `warmup` share of the steps, then cosine to zero."""
    rise = warmup_steps(steps, warmup)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def make_optimizer(model: nn.Module, config: TrainingConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW; no weight decay on biases, norms, scales, tokens and embeddings, nor on what timm names besides, such as
    tables of relative positions; `encoder_rate` on the encoder but for its routers, which are new. Frozen parameters
    are left out."""
    encoder = getattr(model, "encoder", None)  # networks that are only compared with have none
    spared = {f"encoder.{name}" for name in getattr(encoder, "no_weight_decay", set)()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = parameter.ndim >= 2 and name not in spared
        # heads stand under the names of tasks, which are the user's: `embedding_site` is no embedding
        own = name.split(".", 2)[-1] if name.startswith("heads.") else name
        decays = decays and not any(part in own for part in ("token", "embedding", "fc2_bias"))
        pretrained = name.startswith("encoder.") and ".router." not in name
        groups.setdefault((pretrained, decays), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": config.weight_decay if decays else 0.0,
                "rate": config.encoder_rate if pretrained else 1.0,
            }
            for (pretrained, decays), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=has_fused_optimizer(device),
    )
