"""What the experts cost against the plain ViT, and what mixed precision saves."""

import torch

from aggregation_lab.config import ModelConfig, MoEConfig
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.training.device import pick_device, pick_precision
from aggregation_lab.training.flops import count_flops
from runners.bench.bare import TASK, finished, model_step
from runners.bench.setting import ENCODER, Setting
from runners.bench.tables import Table, ratios
from runners.bench.timing import paired, ratio

GOALS = {
    "split step / plain ViT step": "<= 1.10",
    "copy throughput per operation / plain ViT's": ">= 0.8",
}


def experts(setting: Setting) -> Table:
    """Step time of both expert kinds over the plain ViT's, and throughput per counted operation."""
    device = pick_device()
    kinds = {"plain": MoEConfig(experts=0), "split": MoEConfig(kind="split"), "copy": MoEConfig(kind="copy")}

    def model_of(kind: str) -> M2DINO:
        return build_m2dino(ModelConfig(encoder=ENCODER, moe=kinds[kind]), [TASK]).to(device)

    models = {kind: model_of(kind) for kind in kinds}
    image = torch.randn(1, 3, setting.size, setting.size, device=device)

    def loss(model: M2DINO) -> torch.Tensor:
        index = torch.zeros(1, dtype=torch.long, device=device)
        return model(image, index, [(TASK.name, slice(None))])[TASK.name].sum()

    flops = {kind: count_flops(loss, model) for kind, model in models.items()}
    steps = [finished(model_step(model, setting.size), device) for model in models.values()]
    precision = pick_precision("auto", device)
    if precision != torch.float32:
        steps.append(finished(model_step(model_of("split"), setting.size, precision), device))
    plain, split, copy, *mixed = paired(*steps, rounds=setting.rounds)
    figures = {
        "split step / plain ViT step": ratio(split, plain),
        "copy step (4 experts) / plain ViT step": ratio(copy, plain),
        "copy operations / plain ViT operations (counted)": flops["copy"] / flops["plain"],
        "copy throughput per operation / plain ViT's": flops["copy"] / flops["plain"] / ratio(copy, plain),
    }
    if mixed:
        figures["fp32 step / bf16 step (split)"] = ratio(split, mixed[0])
    return ratios("Experts and precision", figures, GOALS)
