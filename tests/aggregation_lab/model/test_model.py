"""M2DINO: both expert kinds start as the plain encoder, heads have the right shapes, checkpoints are checked."""

import pytest
import timm
import torch

from aggregation_lab.config import ModelConfig, MoEConfig
from aggregation_lab.errors import ModelError
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.model.image_path import STRIDES, WIDTHS
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.model.shared_maps import View
from aggregation_lab.tasks import Task, TaskType

TINY = "vit_tiny_patch16_dinov3_qkvb"
TASKS = (
    Task("seg", TaskType.SEGMENTATION, 3, "a"),
    Task("cls", TaskType.CLASSIFICATION, 4, "a"),
    Task("det", TaskType.DETECTION, 1, "b"),
    Task("reg", TaskType.REGRESSION, 2, "b"),
)


def config(encoder: str = TINY, **moe) -> ModelConfig:
    return ModelConfig(encoder=encoder, moe=MoEConfig(**moe), head_width=16)


def features(model, images, task: int) -> torch.Tensor:
    model._context.embedding = model.task_embedding(torch.full((len(images),), task)).unsqueeze(1)
    return model.backbone.deep_map(images)


@pytest.mark.parametrize("encoder", [TINY, "vit_small_patch16_dinov3"])
@pytest.mark.parametrize("moe", [{"kind": "split"}, {"kind": "copy"}, {"kind": "copy", "top_k": 2}])
def test_experts_start_as_the_plain_encoder(encoder, moe):
    model = build_m2dino(config(encoder, experts=4, **moe), TASKS, seed=3).eval()
    torch.manual_seed(3)
    plain = timm.create_model(encoder, num_classes=0, dynamic_img_size=True).eval()
    for block in plain.blocks:  # with DINOv3's LayerScale of 1e-5 any FFN would pass
        torch.nn.init.ones_(block.gamma_1)
        torch.nn.init.ones_(block.gamma_2)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        (expected,) = plain.forward_intermediates(images, indices=[11], norm=True, intermediates_only=True)
        assert expected.std() > 0.5
        for task in (0, 3):
            assert (features(model, images, task) - expected).abs().max() <= 1e-3  # of values around 1


def test_split_adds_only_routers_and_embeddings_and_copy_adds_capacity():
    def size(model):
        return sum(parameter.numel() for parameter in model.encoder.parameters())

    plain, split, copy = (
        size(build_m2dino(config(**moe), TASKS)) for moe in ({"experts": 0}, {"kind": "split"}, {"kind": "copy"})
    )
    assert split - plain == 6 * (192 * 4 + 4)
    assert copy > 1.9 * plain


def test_tasks_are_routed_apart_once_the_router_has_learned():
    model = build_m2dino(config(kind="split"), TASKS).eval()
    images = torch.randn(2, 3, 64, 64)
    for layer in model.moe.values():
        torch.nn.init.normal_(layer.router.weight)
    torch.nn.init.normal_(model.task_embedding.weight)
    with torch.no_grad():
        assert (features(model, images, 0) - features(model, images, 1)).abs().max() > 1e-2
    usage = next(iter(model.moe.values())).usage
    assert usage.shape == (2, 4)
    assert torch.allclose(usage.sum(1), torch.ones(2), rtol=0, atol=1e-4)


def test_copied_experts_part_in_training():
    model = build_m2dino(config(kind="copy", experts=2), TASKS)
    layer = model.moe[11]
    layer.context.embedding = torch.zeros(1, 1, 192)
    layer(torch.randn(4, 5, 192)).square().mean().backward()
    one, other = layer.fc1.weight.grad.chunk(2)
    assert (one - other).abs().max() > 1e-6


def test_top_k_keeps_k_gates_and_reports_its_balance():
    model = build_m2dino(config(kind="copy", experts=4, top_k=1), TASKS)
    layer = model.moe[11]
    layer.context.embedding = torch.zeros(1, 1, 192)
    gates = layer.gates(torch.randn(2, 7, 192))
    assert ((gates > 0).sum(-1) == 1).all()
    assert float(model.balance().detach()) == pytest.approx(1.0, rel=0, abs=0.5)


@pytest.mark.parametrize("kind", ["split", "copy"])
def test_gating_leaves_hidden_units_in_their_precision(kind):
    """A product in float32 costs more than a tenth of a step in mixed precision."""
    moe = next(iter(build_m2dino(config(kind=kind), TASKS).moe.values()))
    moe.context.embedding = torch.zeros(2, 1, moe.router.in_features)
    seen = []
    moe.fc2.register_forward_pre_hook(lambda layer, given: seen.append(given[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        moe(torch.randn(2, 5, moe.router.in_features))
    assert seen == [torch.bfloat16]


def test_attention_is_plain_only_where_that_is_faster(monkeypatch):
    calls, attention = [], torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *given, **settings: calls.append(given) or attention(*given, **settings),
    )
    model = build_m2dino(config(), TASKS).eval()
    images, cpu, found = torch.randn(2, 3, 64, 64), torch.device("cpu"), {}
    for size, device, precision in (
        (64, cpu, torch.bfloat16),
        (64, cpu, torch.float32),
        (512, cpu, torch.bfloat16),
        (64, torch.device("cuda"), torch.bfloat16),
    ):
        model.backbone.choose_attention(size, device, precision)
        fused = (size, device, precision) != (64, cpu, torch.bfloat16)
        assert {block.attn.fused_attn for block in model.encoder.blocks} == {fused}
        calls.clear()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found[fused] = features(model, images, 0).float()
        assert len(calls) == (len(model.encoder.blocks) if fused else 0)
    assert (found[True] - found[False]).abs().mean() < 0.05 * found[True].abs().mean()


def test_mixed_batch_equals_one_task_at_a_time():
    model = build_m2dino(config(), TASKS).eval()
    stops = (2, 3, 5, 8)
    images = torch.randn(stops[-1], 3, 64, 64)
    blocks = [slice(start, stop) for start, stop in zip((0, *stops), stops, strict=False)]
    index = torch.tensor([place for place, rows in enumerate(blocks) for _ in range(rows.start, rows.stop)])
    mixed = model(images, index, [(task.name, rows) for task, rows in zip(TASKS, blocks, strict=True)])
    assert list(mixed) == [task.name for task in TASKS]
    for task, rows in zip(TASKS, blocks, strict=True):
        alone = model.predict(images[rows], task)
        found = model.heads[task.name].predict(mixed[task.name])
        assert found.shape == alone.shape
        assert (found.float() - alone.float()).abs().mean() <= 1e-3  # a mask may differ in a pixel


def test_tasks_that_read_the_same_view_read_it_once_and_have_the_gradients_of_reading_it_alone(monkeypatch):
    model = build_m2dino(config(experts=0), TASKS).eval()
    images, index = torch.randn(7, 3, 64, 64), torch.tensor([0, 0, 1, 2, 2, 3, 3])
    parts = [("seg", slice(0, 2)), ("cls", slice(2, 3)), ("det", slice(3, 5)), ("reg", slice(5, 7))]
    looks, read = [], model.fusion.read
    monkeypatch.setattr(model.fusion, "read", lambda maps, view: looks.append(view) or read(maps, view))

    def gradients(batches) -> dict[str, torch.Tensor]:
        model.zero_grad()
        for rows, task_parts in batches:
            _squares(model(images[rows], index[rows], task_parts)).backward()
        return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}

    together = gradients([(slice(0, 7), parts)])
    assert sorted(looks) == sorted(View)
    apart = gradients([(rows, [(name, slice(0, rows.stop - rows.start))]) for name, rows in parts])
    assert together.keys() == apart.keys()
    for name, gradient in together.items():
        assert torch.allclose(gradient, apart[name], rtol=1e-3, atol=1e-4 * float(gradient.abs().max())), name


def _squares(outputs) -> torch.Tensor:
    """The sum of squares of whatever the heads gave."""
    if isinstance(outputs, torch.Tensor):
        return outputs.float().square().sum()
    return torch.stack([_squares(each) for each in (outputs.values() if isinstance(outputs, dict) else outputs)]).sum()


@pytest.mark.parametrize("frozen", [0, 6])
def test_paths_are_dropped_as_timm_drops_them(tmp_path, frozen):
    backbone = build_backbone(TINY, drop_path=0.5)
    plain = backbone.network
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    settings = ModelConfig(
        encoder=TINY, weights=str(tmp_path / "w.pt"), drop_path=0.5, frozen_blocks=frozen, moe=MoEConfig(experts=0)
    )
    model = build_m2dino(settings, TASKS).train()
    plain.train()
    plain.blocks[:frozen].eval()
    images = torch.randn(4, 3, 64, 64)
    index, parts = torch.ones(4, dtype=torch.long), [("cls", slice(0, 4))]
    with torch.no_grad():
        torch.manual_seed(1)
        maps = model.fusion(backbone.deep_map(images), model.image_path(images))
        expected = model.heads["cls"](model.fusion.read(maps, View.SUMMARY), 64)
        torch.manual_seed(1)
        whole = model(images, index, parts)["cls"]
        torch.manual_seed(1)
        depth = model.draw_depth(4)
        halves, part = (slice(0, 2), slice(2, 4)), [("cls", slice(0, 2))]
        pieces = [model(images[rows], index[rows], part, depth=depth[rows])["cls"] for rows in halves]
        assert torch.allclose(whole, expected, rtol=1e-3, atol=1e-4)
        assert torch.allclose(torch.cat(pieces), whole, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(model(images, index, parts)["cls"], whole, rtol=0, atol=1e-2)


def test_head_outputs_are_normalised_and_of_the_stated_shapes():
    model = build_m2dino(config(), TASKS).eval()
    images = torch.randn(3, 3, 64, 64)
    masks, probabilities, boxes, points = (model.predict(images, task) for task in TASKS)
    assert masks.shape == (3, 64, 64) and masks.dtype == torch.uint8 and masks.max() < 3
    assert torch.allclose(probabilities.sum(1), torch.ones(3), rtol=0, atol=1e-4)
    assert boxes.shape == (3, 4) and (boxes[:, :2] <= boxes[:, 2:]).all() and boxes.min() >= 0 and boxes.max() <= 1
    assert points.shape == (3, 2, 2) and points.min() >= 0 and points.max() <= 1


def test_views_have_the_stated_shapes_and_levels_the_stated_strides():
    model = build_m2dino(config(), TASKS).eval()
    images = torch.randn(2, 3, 64, 64)
    path = model.image_path(images)
    assert [tuple(level.shape) for level in path] == [
        (2, w, 64 // s, 64 // s) for w, s in zip(WIDTHS, STRIDES, strict=True)
    ]
    maps = model.fusion(features(model, images, 0), path)
    width = model.fusion.width
    shapes = {
        View.FINE: (2, width, 16, 16),
        View.MIDDLE: (2, width, 8, 8),
        View.SUMMARY: (2, 2 * (width + sum(WIDTHS))),
    }
    for view in View:
        assert model.fusion.read(maps, view).shape == shapes[view]
        assert torch.equal(model.fusion.read(maps.split([1, 1])[1], view)[0], model.fusion.read(maps, view)[1])
        assert shapes[view][1] == model.fusion.size(view)


@torch.no_grad()
def test_shared_maps_of_an_image_do_not_depend_on_its_batch():
    model = build_m2dino(config(), TASKS).train()  # statistics over the batch would show in training
    images = torch.randn(3, 3, 64, 64)
    for together, alone in zip(model.image_path(images), model.image_path(images[:1]), strict=True):
        assert torch.allclose(together[:1], alone, rtol=1e-4, atol=1e-4)


def test_a_head_and_what_is_shared_start_alike_in_every_unit():
    alone, together = build_m2dino(config(), TASKS[2:3], seed=5), build_m2dino(config(), TASKS, seed=5)
    for one, other in zip(alone.heads["det"].parameters(), together.heads["det"].parameters(), strict=True):
        assert torch.equal(one, other)
    for part in ("encoder", "image_path", "fusion"):
        pairs = zip(getattr(alone, part).parameters(), getattr(together, part).parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_local_checkpoint_is_loaded(tmp_path, suffix):
    source = build_backbone(TINY).network
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"model": {f"module.{key}": value for key, value in source.state_dict().items()}}, path)
    else:
        from safetensors.torch import save_file

        save_file(source.state_dict(), path)
    loaded = build_backbone(TINY, weights=str(path)).network
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(source(images), loaded(images))


def test_checkpoint_that_does_not_fit_in_full_lists_its_keys(tmp_path, capsys):
    state = build_backbone(TINY).network.state_dict()
    state["stray"] = state.pop("norm.bias")
    torch.save(state, tmp_path / "odd.pt")
    build_backbone(TINY, weights=str(tmp_path / "odd.pt"))
    assert "of its parameters; random start: norm.bias; not used: stray" in capsys.readouterr().out


def test_checkpoint_of_another_size_is_refused(tmp_path):
    torch.save(build_backbone(TINY).network.state_dict(), tmp_path / "tiny.pt")
    with pytest.raises(ModelError, match=r"of another size: .*\(192, 192\) instead of \(384, 384\)"):
        build_backbone("vit_small_patch16_dinov3_qkvb", weights=str(tmp_path / "tiny.pt"))


def test_checkpoint_cannot_run_code(tmp_path):
    class Malicious:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"model": Malicious()}, tmp_path / "evil.pt")
    with pytest.raises(ModelError, match="not a checkpoint of weights"):
        build_backbone(TINY, weights=str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "vit_smal_patch16_dinov3"}, "unknown encoder .* vit_small_patch16_dinov3"),
        ({"encoder": "resnet50"}, "moe.experts: 4, but resnet50 is no plain ViT, .* set moe: {experts: 0}"),
        ({"weights": "no/such/file.pt"}, "no/such/file.pt does not exist"),
        ({"moe": MoEConfig(experts=5)}, "5 does not divide"),
        ({"moe": MoEConfig(blocks=13)}, "has 12 blocks"),
        ({"encoder": "vit_small_plus_patch16_dinov3"}, "SwiGLU"),
    ],
)
def test_model_faults_are_named(change, message):
    with pytest.raises(ModelError, match=message):
        build_m2dino(config().model_copy(update=change), TASKS)


def test_split_with_top_k_is_refused():
    with pytest.raises(ValueError, match="top_k needs kind: copy"):
        MoEConfig(kind="split", top_k=2)
