"""Encoders of every family: read as the networks they are, trained, counted, and refused where they do not fit."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.errors import ModelError
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.model.backbones.plain_vit import PlainViT
from aggregation_lab.model.backbones.pyramid import STRIDES, Pyramid
from aggregation_lab.model.image_path import ImagePath
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.model.shared_maps import View
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training import flops
from aggregation_lab.training.flops import count_flops
from aggregation_lab.training.optimizer import make_optimizer
from runners.planning.cost import flops_per_image, worker_bytes
from runners.planning.dry_model import dry_count

TASKS = (
    Task("seg", TaskType.SEGMENTATION, 3, "a"),
    Task("cls", TaskType.CLASSIFICATION, 4, "a"),
    Task("det", TaskType.DETECTION, 1, "b"),
    Task("reg", TaskType.REGRESSION, 2, "b"),
)
PARTS = [(task.name, slice(i, i + 1)) for i, task in enumerate(TASKS)]
PYRAMIDS = ["resnet18", "convnext_atto", "swin_tiny_patch4_window7_224", "efficientnet_b0"]
VITS = [
    "vit_tiny_patch16_224",
    "vit_small_patch14_dinov2",
    "eva02_tiny_patch14_224",
    "deit_tiny_distilled_patch16_224",
    "xcit_nano_12_p8_224",
]


def model_of(encoder: str, size: int = 48, drop_path: float = 0.0, **moe) -> M2DINO:
    config = ModelConfig(encoder=encoder, head_width=16, drop_path=drop_path, moe=MoEConfig(**{"experts": 0} | moe))
    return build_m2dino(config, TASKS, seed=1, image_size=size)


def without_zero_starts(model: M2DINO) -> None:
    """A residual path whose last batch norm starts at zero passes nothing on at the first step."""
    for module in model.encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)


def loss_of(model: M2DINO, images: torch.Tensor) -> torch.Tensor:
    outputs = model(images, torch.arange(4), PARTS)
    tensors = [part for output in outputs.values() for part in (output if isinstance(output, tuple) else (output,))]
    return sum(part.square().mean() for part in tensors if torch.is_tensor(part))


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize("encoder", PYRAMIDS + VITS)
def test_one_step_moves_every_weight_and_predictions_have_their_shapes(encoder, size):
    model = model_of(encoder, size).train()
    without_zero_starts(model)
    images = torch.randn(4, 3, size, size)
    optimizer = make_optimizer(model, TrainingConfig(learning_rate=0.01, weight_decay=0.0), torch.device("cpu"))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    loss_of(model, images).backward()
    optimizer.step()
    still = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    assert still <= {name for name in before if name.startswith(("task_embedding", "heads."))}
    model.eval()
    masks, probabilities, boxes, points = (model.predict(images, task) for task in TASKS)
    assert masks.shape == (4, size, size) and probabilities.shape == (4, 4)
    assert boxes.shape == (4, 4) and points.shape == (4, 2, 2)
    assert all(torch.isfinite(found.float()).all() for found in (masks, probabilities, boxes, points))
    assert torch.allclose(model.predict(images[:1], TASKS[1]), probabilities[:1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("encoder", ["resnet18", "convnext_atto", "efficientnet_b0"])
def test_a_pyramid_reads_the_maps_of_the_plain_network(encoder):
    backbone = build_backbone(encoder, image_size=64)
    plain = timm.create_model(encoder, features_only=True, out_indices=(-4, -3, -2, -1)).eval()
    state = backbone.network.eval().state_dict()
    known = {name.replace(".", "_", 1) if encoder.startswith("convnext") else name: v for name, v in state.items()}
    plain.load_state_dict(known, strict=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        deep, path = backbone.levels(images)
        expected = plain(images)
    assert isinstance(backbone, Pyramid) and deep is None and len(path) == len(expected) == 4
    for level, reference, stride in zip(path, expected, (*STRIDES, 32), strict=True):
        assert level.shape[-1] == 64 // stride and torch.allclose(level, reference, rtol=1e-4, atol=1e-5)


def test_a_residual_network_is_a_plain_feature_pyramid():
    """No image path beside it, no norm added; the coarse map grows from the deepest, and the summary reads all."""
    model = model_of("resnet18", 64).eval()
    assert model.image_path is None and model.fusion.norms is None and not model.moe
    images, fusion = torch.randn(2, 3, 64, 64), model.fusion
    with torch.no_grad():
        path = model.levels(images)[1]
        maps = fusion(*model.levels(images))
        up = torch.nn.functional.interpolate(fusion.deep(path[3]), size=(4, 4), mode="bilinear")
        assert torch.allclose(maps.coarse, fusion.smooth[2](up + fusion.lateral[2](path[2])), rtol=1e-4, atol=1e-5)
        assert fusion.read(maps, View.FINE).shape == (2, 16, 16, 16)
        summary = fusion.read(maps, View.SUMMARY)
    assert summary.shape == (2, 2 * (64 + 128 + 256 + 512 + 16)) == (2, fusion.size(View.SUMMARY))
    assert torch.allclose(summary[:, 2 * (64 + 128 + 256) :][:, :512], path[3].mean((2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_stages_without_batch_norm_are_normalised_before_they_are_read(encoder):
    model = model_of(encoder, 64).eval()
    with torch.no_grad():
        maps = model.fusion(*model.levels(100 * torch.randn(2, 3, 64, 64)))
    for level in maps.path:
        assert torch.allclose(level.mean(1), torch.zeros(()), rtol=0, atol=1e-3)
        assert torch.allclose(level.std(1), torch.ones(()), rtol=0, atol=0.05)


@pytest.mark.parametrize("encoder", VITS)
def test_a_plain_vit_hands_on_its_normalised_patches(encoder):
    size = 64
    backbone = build_backbone(encoder, image_size=size)
    assert isinstance(backbone, PlainViT) and isinstance(model_of(encoder).image_path, ImagePath)
    side = -(-size // backbone.patch)
    backbone.network.eval()
    images = torch.randn(2, 3, size, size)
    grown = torch.nn.functional.interpolate(images, size=(side * backbone.patch,) * 2, mode="bilinear")
    with torch.no_grad():
        found = backbone.deep_map(images)
        last = [len(backbone.network.blocks) - 1]
        (raw,) = backbone.network.forward_intermediates(grown, indices=last, intermediates_only=True)
    assert found.shape == raw.shape == (2, backbone.dim, side, side)
    expected = torch.nn.functional.layer_norm(raw.movedim(1, -1), raw.shape[1:2], eps=1e-6).movedim(-1, 1)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3)  # norms start with weights of one


def test_positions_are_those_of_the_image_size():
    assert build_backbone("vit_tiny_patch16_224", image_size=64).network.pos_embed.shape == (1, 17, 192)
    assert build_backbone("vit_small_patch14_dinov2", image_size=64).network.pos_embed.shape == (1, 26, 384)


@pytest.mark.parametrize("kind", ["split", "copy"])
@pytest.mark.parametrize("encoder", ["vit_tiny_patch16_224", "deit3_small_patch16_224"])
def test_experts_start_as_the_plain_vit_and_are_recorded(encoder, kind):
    experts, plain = model_of(encoder, experts=2, kind=kind).eval(), model_of(encoder).eval()
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        experts.predict(images, TASKS[1])
        assert (experts.levels(images)[0] - plain.levels(images)[0]).abs().max() <= 1e-3
    assert sorted(experts.moe) == list(range(6, 12)) and experts.moe[11].usage.shape == (2, 2)


def test_layer_scale_does_not_hold_back_a_random_start():
    for encoder in ("vit_small_patch14_dinov2", "convnext_atto", "deit3_small_patch16_224"):
        scales = [v for n, v in build_backbone(encoder, image_size=32).network.named_parameters() if "gamma" in n]
        assert scales and all(float(scale.detach().min()) == 1 for scale in scales), encoder


@pytest.mark.parametrize(("encoder", "paths"), [("resnet18", 7), ("convnext_atto", 11), ("vit_tiny_patch16_224", 22)])
def test_paths_are_dropped_by_one_draw_for_the_whole_batch(encoder, paths):
    model = model_of(encoder, drop_path=0.5).train()
    without_zero_starts(model)
    model.encoder.eval()  # batch norm sees one image like many
    for path in model._drop_paths:
        path.train()
    images, index = torch.randn(4, 3, 48, 48), torch.ones(4, dtype=torch.long)
    with torch.no_grad():
        depth = model.draw_depth(4)
        assert depth.shape == (4, paths)
        whole = model(images, index, [("cls", slice(None))], depth=depth)["cls"]
        halves = [
            model(images[rows], index[rows], [("cls", slice(None))], depth=depth[rows])["cls"]
            for rows in (slice(0, 2), slice(2, 4))
        ]
        assert torch.allclose(torch.cat(halves), whole, rtol=1e-3, atol=1e-4)
        other = model(images, index, [("cls", slice(None))], depth=depth.flip(0))["cls"]
    assert not torch.allclose(other, whole, rtol=0, atol=1e-3)


def test_tables_of_positions_are_spared_weight_decay():
    for encoder, part in (("vit_tiny_patch16_224", "pos_embed"), ("swin_tiny_patch4_window7_224", "relative_position")):
        model = model_of(encoder, 32)
        groups = make_optimizer(model, TrainingConfig(encoder_rate=0.1), torch.device("cpu")).param_groups
        decay = {id(value): group["weight_decay"] for group in groups for value in group["params"]}
        rate = {id(value): group["rate"] for group in groups for value in group["params"]}
        named = dict(model.named_parameters())
        tables = [name for name in named if part in name]
        assert tables and all(decay[id(named[name])] == 0 for name in tables)
        assert {rate[id(value)] for name, value in named.items() if name.startswith("encoder.")} == {0.1}
        assert {rate[id(value)] for name, value in named.items() if name.startswith("fusion.")} == {1.0}


def test_the_name_of_a_task_decides_no_weight_decay():
    """What decays is what did when whole names were looked at, of tasks with ordinary names; others have the same."""

    def decays(task: str) -> tuple[dict[str, bool], dict[str, bool]]:
        config = ModelConfig(encoder="vit_tiny_patch16_dinov3_qkvb", head_width=16, moe=MoEConfig(kind="copy"))
        tasks = [Task(task, TaskType.SEGMENTATION, 2, task), Task("other", TaskType.CLASSIFICATION, 2, "other")]
        with torch.device("meta"):
            model = build_m2dino(config, tasks, image_size=32)
        groups = make_optimizer(model, TrainingConfig(), torch.device("cpu")).param_groups
        decay = {id(value): group["weight_decay"] > 0 for group in groups for value in group["params"]}
        spared = {f"encoder.{name}" for name in model.encoder.no_weight_decay()}
        found, by_whole_name = {}, {}
        for name, value in model.named_parameters():
            plain = name.replace(f".{task}.", ".TASK.")
            found[plain] = decay[id(value)]
            by_whole_name[plain] = value.ndim >= 2 and name not in spared
            by_whole_name[plain] &= not any(part in name for part in ("token", "embedding", "fc2_bias"))
        return found, by_whole_name

    found, by_whole_name = decays("nodule")
    assert found == by_whole_name and any(found[name] for name in found if name.startswith("heads.TASK."))
    for odd in ("embedding_site", "token", "fc2_bias_x"):
        assert decays(odd)[0] == found != decays(odd)[1]


def test_what_is_compiled_is_what_runs(monkeypatch):
    ran = []

    def compiled(part):
        return lambda *arguments, **settings: ran.append(part) or part(*arguments, **settings)

    monkeypatch.setattr(torch, "compile", compiled)
    for encoder in ("resnet18", "vit_tiny_patch16_224"):
        model = model_of(encoder, 32).eval()
        model.compile_encoder()
        model.predict(torch.randn(2, 3, 32, 32), TASKS[1])
    assert len(ran) == 2


# ---- what it costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("groups", "share"), [(1, 1), (8, 8)])
def test_convolutions_in_groups_are_counted_as_they_run(groups, share):
    convolution, images = torch.nn.Conv2d(8, 8, 3, padding=1, groups=groups), torch.randn(2, 8, 16, 16)
    images.requires_grad_()
    with FlopCounterMode(display=False) as counter:
        convolution(images)
    forward = counter.get_total_flops()
    assert forward == 2 * 2 * 16 * 16 * 9 * 8 * 8 / share
    assert count_flops(lambda: convolution(images).sum()) == 3 * forward


@pytest.mark.parametrize(
    ("encoder", "moe"),
    [
        ("resnet18", MoEConfig(experts=0)),
        ("convnext_atto", MoEConfig(experts=0)),
        ("swin_tiny_patch4_window7_224", MoEConfig(experts=0)),
        ("vit_tiny_patch16_dinov3_qkvb", MoEConfig(kind="split")),
        ("vit_tiny_patch16_dinov3_qkvb", MoEConfig(kind="copy")),
        ("frozen", MoEConfig(kind="split")),
    ],
    ids=lambda each: each if isinstance(each, str) else each.kind,
)
def test_operations_are_those_that_the_counter_of_torch_finds(encoder, moe):
    frozen, encoder = encoder == "frozen", encoder.replace("frozen", "vit_tiny_patch16_dinov3_qkvb")
    size = 224 if encoder.startswith("swin") else 64
    model = build_m2dino(ModelConfig(encoder=encoder, moe=moe), [Task("seg", TaskType.SEGMENTATION, 2, "a")], size)
    for value in [*model.parameters()][: 80 if frozen else 0]:  # of the first blocks
        value.requires_grad_(False)
    images, index = torch.randn(2, 3, size, size), torch.zeros(2, dtype=torch.long)

    def loss() -> torch.Tensor:
        return model(images, index, [("seg", slice(None))])["seg"].sum()

    with FlopCounterMode(display=False, custom_mapping=flops._MAPPING) as counter:
        loss().backward()
    assert count_flops(loss) == counter.get_total_flops() > 1e7


@pytest.mark.parametrize("encoder", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_the_estimate_counts_what_a_step_takes(encoder):
    config = ModelConfig(encoder=encoder, moe=MoEConfig(experts=0))
    model = build_m2dino(config, [Task("seg", TaskType.SEGMENTATION, 2, "a")], image_size=64)
    images = torch.randn(2, 3, 64, 64)

    def loss() -> torch.Tensor:
        return model(images, torch.zeros(2, dtype=torch.long), [("seg", slice(None))])["seg"].sum()

    training = TrainingConfig(image_size=64, batch_size=8)
    # on meta tensors, attention is counted as plain products
    assert flops_per_image(config, training) == pytest.approx(count_flops(loss) / 2, rel=0.05, abs=0)
    counted = dry_count(config, 64)
    assert counted.trained == sum(value.numel() for value in model.parameters())
    assert worker_bytes(config, training) > 16 * counted.trained + 8 * 2 * 3 * 64 * 64


def test_frozen_blocks_of_a_plain_vit_cost_nothing():
    whole = ModelConfig(encoder="vit_tiny_patch16_224", weights="hub", moe=MoEConfig(experts=0))
    half = whole.model_copy(update={"frozen_blocks": 6})
    assert 0.5 * dry_count(whole, 64).flops < dry_count(half, 64).flops < 0.75 * dry_count(whole, 64).flops
    assert dry_count(half, 64).activation_bytes < 0.75 * dry_count(whole, 64).activation_bytes


# ---- what cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "settings", "message"),
    [
        ("resnet18", {"moe": MoEConfig()}, "moe.experts: 4, but resnet18 is no plain ViT"),
        ("eva02_tiny_patch14_224", {"moe": MoEConfig()}, "FFN is a GluMlp, experts need a plain two-layer FFN"),
        ("mixer_s16_224", {"moe": MoEConfig()}, "FFN is missing"),
        ("resnet18", {"weights": "hub", "frozen_blocks": 2}, "frozen_blocks: 2, but the blocks of resnet18 cannot"),
        ("vit_small_patch16_rope_mixed_224", {"weights": "hub", "frozen_blocks": 2}, "blocks of .* cannot be frozen"),
        ("densenet121", {"drop_path": 0.1}, "drop_path: 0.1, but densenet121 has no stochastic depth"),
        ("levit_128s", {}, "levit_128s cannot be used, it has maps at stride 16, 32, 64; take a plain ViT"),
        ("resnet18.no_such_weights", {}, "'resnet18.no_such_weights' cannot be built"),
        ("resnet", {}, "unknown encoder 'resnet'; timm has "),
        ("hiera_tiny_224", {}, "cannot read images of 48 pixels .*; take another training.image_size or encoder"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(encoder, settings, message, monkeypatch):
    monkeypatch.setattr(
        "aggregation_lab.model.backbones.build.from_hub", lambda name, options: timm.create_model(name, **options)
    )
    config = ModelConfig(**{"encoder": encoder, "head_width": 16, "moe": MoEConfig(experts=0)} | settings)
    with pytest.raises(ModelError, match=message) as caught:
        build_m2dino(config, TASKS, image_size=48)
    assert "\n" not in str(caught.value)


def test_a_batch_of_one_image_has_no_statistics():
    build_backbone("convnext_atto", image_size=32).check_batch(1)
    backbone = build_backbone("resnet18", image_size=32)
    backbone.check_batch(2)
    with pytest.raises(ModelError, match="training.batch_size: 1, but resnet18 normalises over the batch"):
        backbone.check_batch(1)


def test_an_aggregator_does_not_go_with_batch_norm():
    build_backbone("convnext_atto", image_size=32).check_batch(16, "upgrad")
    backbone = build_backbone("resnet18", image_size=32)
    backbone.check_batch(16, "none")
    with pytest.raises(
        ModelError, match="^training.aggregator: upgrad, but resnet18 .* or an encoder such as convnext"
    ):
        backbone.check_batch(16, "upgrad")
