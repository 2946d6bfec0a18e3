"""The last part by itself is the end of the model, whatever the encoder, and knows the task of every image."""

import pytest
import torch

from aggregation_lab.config import ModelConfig, MoEConfig
from aggregation_lab.model.last_part import Below, Entry, LastPart
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.tasks import Task, TaskType

TASKS = (
    Task("seg", TaskType.SEGMENTATION, 3, "a"),
    Task("cls", TaskType.CLASSIFICATION, 4, "a"),
    Task("det", TaskType.DETECTION, 1, "b"),
    Task("reg", TaskType.REGRESSION, 2, "b"),
)
INDEX = torch.tensor([0, 1, 2, 3])
PARTS = [(task.name, slice(place, place + 1)) for place, task in enumerate(TASKS)]
SIZE = 48
TINY = "vit_tiny_patch16_dinov3_qkvb"


def model_of(encoder: str, **moe: object) -> M2DINO:
    config = ModelConfig(encoder=encoder, head_width=16, moe=MoEConfig.model_validate({"experts": 0} | moe))
    model = build_m2dino(config, TASKS, seed=1, image_size=SIZE).eval()
    for layer in model.moe.values():  # routers that start at zero would hide the task
        torch.nn.init.normal_(layer.router.weight)
    return model


def close(one: object, other: object) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "moe"),
    [
        (TINY, {}),
        (TINY, {"experts": 2}),
        (TINY, {"experts": 2, "blocks": 12}),
        (TINY, {"experts": 2, "kind": "copy", "blocks": 1}),
        ("vit_tiny_patch16_224", {"experts": 3}),
        ("deit_tiny_distilled_patch16_224", {"experts": 2}),
        ("xcit_nano_12_p8_224", {}),
        ("xcit_nano_12_p8_224", {"experts": 2}),
        ("resnet18", {}),
    ],
)
def test_in_parts_and_in_pieces_it_is_the_model(encoder, moe):
    model = model_of(encoder, **moe)
    images = torch.randn(4, 3, SIZE, SIZE)
    with torch.no_grad():
        whole = model(images, INDEX, PARTS)
        last = LastPart(model)
        below = Below.joined([last.below(images[:3]), last.below(images[3:])])
        entries = [last.enter(below.of(rows), INDEX[rows]) for rows in (slice(0, 1), slice(1, 4))]
        entry = Entry.joined(entries)
        parts = model.read_out(last.maps(entry, INDEX), PARTS, SIZE)
        alone = {task.name: last.head(task.name, entry, INDEX, SIZE)[1] for task in TASKS}
    for place, task in enumerate(TASKS):
        close(parts[task.name], whole[task.name])
        mine = alone[task.name]
        picked = type(mine)(*(each[place : place + 1] for each in mine)) if isinstance(mine, tuple) else mine[place]
        close(picked, whole[task.name] if isinstance(mine, tuple) else whole[task.name][0])


def test_frozen_blocks_hand_their_tokens_on(tmp_path):
    torch.save(model_of(TINY).encoder.state_dict(), tmp_path / "encoder.pt")
    config = ModelConfig(encoder=TINY, weights=str(tmp_path / "encoder.pt"), frozen_blocks=6, moe=MoEConfig(experts=2))
    model = build_m2dino(config, TASKS, image_size=SIZE).eval()
    last, images = LastPart(model), torch.randn(4, 3, SIZE, SIZE)
    with torch.no_grad():
        whole = model(images, INDEX, PARTS)
        for tokens in (None, model.trunk(images)):
            entry = last.enter(last.below(images, tokens), INDEX)
            close(model.read_out(last.maps(entry, INDEX), PARTS, SIZE), whole)


def test_a_frozen_encoder_leaves_the_norm_and_the_fusion(tmp_path):
    torch.save(model_of(TINY).encoder.state_dict(), tmp_path / "encoder.pt")
    settings = {"weights": str(tmp_path / "encoder.pt"), "frozen_blocks": 12, "moe": MoEConfig(experts=0)}
    model = build_m2dino(ModelConfig(encoder=TINY, **settings), TASKS, image_size=SIZE).eval()
    expected = {id(each) for part in (model.fusion, model.encoder.norm) for each in part.parameters()}
    assert {id(each) for each in LastPart(model).parameters} == expected


def test_its_parameters_are_shared_and_reach_every_head():
    model = model_of(TINY, experts=2)
    last = LastPart(model)
    heads = {id(each) for each in model.heads.parameters()}
    assert not heads & {id(each) for each in last.parameters}
    last_block = [id(each) for each in model.encoder.blocks[-1].parameters()]
    assert set(last_block) <= {id(each) for each in last.parameters}
    entry = last.enter(last.below(torch.randn(4, 3, SIZE, SIZE)), INDEX)
    for task in TASKS:
        output = last.head(task.name, entry, INDEX, SIZE)[1]
        loss = sum(each.square().sum() for each in (output if isinstance(output, tuple) else [output]))
        gradients = torch.autograd.grad(loss, last.parameters, allow_unused=True)
        reached = {id(each) for each, got in zip(last.parameters, gradients, strict=True) if got is not None}
        assert set(last_block) <= reached, task.name


def test_gates_are_those_of_all_blocks_with_experts():
    model = model_of(TINY, experts=2)
    last = LastPart(model)
    entry = last.enter(last.below(torch.randn(4, 3, SIZE, SIZE)), INDEX)
    below = last.gates_below(4)
    last.maps(entry, INDEX)
    gates = torch.cat([below, last.gates_within(4)], 1)
    assert gates.shape == (4, 6 * 2)
    close(gates.unflatten(1, (6, 2)).sum(2), torch.ones(4, 6))
    plain = LastPart(model_of("resnet18"))
    assert plain.gates_below(4).shape == plain.gates_within(4).shape == (4, 0)
