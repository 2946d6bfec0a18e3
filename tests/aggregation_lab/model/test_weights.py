"""Checkpoints as other laboratories write them: the encoder then makes the features of the source, or one line says why
not. Networks here are timm's own classes with two narrow blocks."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from aggregation_lab.errors import ModelError
from aggregation_lab.model.backbones.build import build_backbone, weights_note
from aggregation_lab.model.backbones.weights import load_checkpoint
from runners.planning.data_digests import weights_digest

State = dict[str, Tensor]
VIT = "vit_tiny_patch16_224"


def small(name: str, seed: int, size: int = 32) -> Any:
    """A network of that family with random weights everywhere, biases and scales included."""
    options = {"img_size": size, "depth": 2, "embed_dim": 48, "num_heads": 2}
    torch.manual_seed(seed)
    network = timm.create_model(name, num_classes=0, **(options if name != "resnet18" else {}))
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.1)
    return network.eval()


def with_prefix(state: State, prefix: str) -> State:
    return {prefix + key: value for key, value in state.items()}


def renamed(state: State, *rules: tuple[str, str]) -> State:
    found = {}
    for key, value in state.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        found[key] = value
    return found


def open_clip(state: State) -> State:
    named = renamed(
        state,
        (r"^patch_embed\.proj\.", "conv1."),
        (r"^blocks\.", "transformer.resblocks."),
        (r"^norm_pre\.", "ln_pre."),
        (r"^norm\.", "ln_post."),
        (r"\.norm(\d)\.", r".ln_\1."),
        (r"\.attn\.qkv\.", ".attn.in_proj_"),
        (r"\.attn\.proj\.", ".attn.out_proj."),
        (r"\.fc1\.", ".c_fc."),
        (r"\.fc2\.", ".c_proj."),
    )
    named["class_embedding"], named["positional_embedding"] = named.pop("cls_token")[0, 0], named.pop("pos_embed")[0]
    named["proj"] = torch.zeros(48, 16)
    return with_prefix(named, "visual.") | {"token_embedding.weight": torch.zeros(9, 8), "logit_scale": torch.zeros(1)}


def usfm(state: State) -> dict[str, Any]:
    """A BEiT whose blocks share one table of relative positions; its norm stands before the mean."""
    table = state["blocks.0.attn.relative_position_bias_table"]
    own = {key: value for key, value in state.items() if "relative_position" not in key}
    shared = renamed(own, (r"^fc_norm\.", "norm.")) | {"rel_pos_bias.relative_position_bias_table": table}
    return {"model": with_prefix(shared, "encoder."), "epoch": 3, "config": argparse.Namespace(lr=1.0)}


def ultrasam(state: State) -> dict[str, Any]:
    named = renamed(
        state,
        (r"^blocks\.", "layers."),
        (r"^patch_embed\.proj\.", "patch_embed.projection."),
        (r"\.norm(\d)\.", r".ln\1."),
        (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
        (r"\.mlp\.fc2\.", ".ffn.layers.1."),
        (r"^neck\.", "channel_reduction."),
    )
    return {"state_dict": with_prefix(named, "backbone.") | {"bbox_head.fc.weight": torch.zeros(2, 2)}, "meta": {}}


def dinov2_registers(state: State) -> State:
    """The release has a position for the class token, which timm adds to the token itself."""
    place = torch.randn(1, 1, 48)
    released = dict(state) | {"mask_token": torch.zeros(1, 48), "register_tokens": state["reg_token"]}
    del released["reg_token"]
    return released | {
        "cls_token": state["cls_token"] - place,
        "pos_embed": torch.cat([place, state["pos_embed"]], 1),
    }


def dinov3(state: State) -> State:
    """The release of an encoder without biases in attention, which has them all the same, as zeros."""
    named = renamed(state, (r"\.gamma_(\d)$", r".ls\1.gamma"), (r"^reg_token$", "storage_tokens"))
    biases = {f"blocks.{i}.attn.qkv.bias": torch.zeros(144) for i in range(2)}
    fixed = {"mask_token": torch.zeros(1, 48), "rope_embed.periods": torch.ones(6)}
    return named | biases | {key.replace("bias", "bias_mask"): value for key, value in biases.items()} | fixed


def mae(state: State) -> dict[str, Any]:
    decoder = {f"decoder_blocks.{i}.norm1.weight": torch.zeros(8) for i in range(8)}
    return {"model": dict(state) | decoder | {"mask_token": torch.zeros(1, 1, 8)}}


STYLES: dict[str, tuple[str, Callable[[State], dict], str]] = {
    "timm": (VIT, lambda state: state | {"head.weight": torch.zeros(5, 48), "head.bias": torch.zeros(5)}, ""),
    "timm, residual": ("resnet18", lambda state: state | {"fc.weight": torch.zeros(5, 512)}, ""),
    "wrapped": (VIT, lambda state: {"state_dict": with_prefix(state, "module.backbone.")}, ""),
    "dinov2": ("vit_small_patch14_reg4_dinov2", dinov2_registers, ""),
    "dinov3": ("vit_small_patch16_dinov3", dinov3, ""),
    "dinov3 with biases": (
        "vit_small_patch16_dinov3",
        lambda state: dinov3(state) | {"blocks.1.attn.qkv.bias": torch.ones(144)},
        "not used: blocks.1.attn.qkv.bias",
    ),
    "open_clip": ("vit_base_patch32_clip_224", open_clip, "not used: logit_scale, token_embedding.weight"),
    "open_clip in a wrapper": ("vit_base_patch32_clip_224", lambda s: with_prefix(open_clip(s), "clip."), "not used"),
    "trunk of open_clip": (VIT, lambda state: with_prefix(state, "visual.trunk."), ""),
    "USFM": ("beit_base_patch16_224", usfm, ""),
    "UltraSam": ("samvit_base_patch16", ultrasam, "not used: state_dict.bbox_head.fc.weight"),
    "MAE": (VIT, mae, "not used: decoder_blocks (8 tensors)"),
}


@pytest.mark.parametrize("style", STYLES)
def test_the_encoder_makes_the_features_of_the_source(style, tmp_path, capsys):
    name, written, message = STYLES[style]
    size = 28 if "patch14" in name else 64
    source, target = small(name, 1, size), small(name, 2, size)
    if style == "USFM":  # one table for all blocks, as it is pretrained
        table = source.blocks[0].attn.relative_position_bias_table
        source.blocks[1].attn.relative_position_bias_table.data.copy_(table.data)
    torch.save(written(source.state_dict()), tmp_path / "w.pth")
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = source.forward_features(images)
        assert not torch.allclose(target.forward_features(images), expected, rtol=0, atol=1e-2)
        load_checkpoint(name, target, tmp_path / "w.pth")
        assert torch.allclose(target.forward_features(images), expected, rtol=1e-4, atol=1e-4)
    said = capsys.readouterr().out
    assert message in said and bool(message) == bool(said) and said.count("\n") == bool(message)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pth"])
def test_files_of_any_kind_and_positions_of_another_size_are_read(suffix, tmp_path, capsys):
    source, target = small(VIT, 1, size=64), small(VIT, 2, size=32)
    state = {key: value.detach().clone() for key, value in source.state_dict().items()}
    (save_file if suffix == ".safetensors" else torch.save)(state, tmp_path / f"w{suffix}")
    load_checkpoint(VIT, target, tmp_path / f"w{suffix}")
    assert torch.equal(target.blocks[1].mlp.fc2.weight, source.blocks[1].mlp.fc2.weight)
    assert torch.equal(target.pos_embed[:, 0], source.pos_embed[:, 0])
    assert not torch.equal(target.pos_embed, small(VIT, 2, size=32).pos_embed) and capsys.readouterr().out == ""


def test_positions_of_sam_are_interpolated(tmp_path, capsys):
    name = "samvit_base_patch16"
    source, target, other = small(name, 1, size=64), small(name, 2, size=32), small(name, 2, size=32)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    load_checkpoint(name, target, tmp_path / "w.pth")
    moved = {key for key, value in target.state_dict().items() if not torch.equal(value, other.state_dict()[key])}
    assert moved == set(target.state_dict()) and capsys.readouterr().out == ""


def test_a_teacher_is_taken_before_its_student_and_the_rest_is_named(tmp_path, capsys):
    states = {role: small(VIT, seed).state_dict() for role, seed in (("student", 1), ("teacher", 2))}
    torch.save({role: with_prefix(state, "backbone.") for role, state in states.items()}, tmp_path / "w.pth")
    target = small(VIT, 3)
    load_checkpoint(VIT, target, tmp_path / "w.pth")
    assert torch.equal(target.norm.weight, states["teacher"]["norm.weight"])
    assert f"not used: student ({len(states['student'])} tensors)" in capsys.readouterr().out


def test_what_starts_at_random_is_named_and_too_much_is_refused(tmp_path, capsys):
    state = small(VIT, 1).state_dict()
    del state["norm.weight"], state["blocks.1.norm2.bias"]
    state["pos_embed"] = state["pos_embed"][..., :7]
    torch.save(state, tmp_path / "w.pth")
    load_checkpoint(VIT, small(VIT, 2), tmp_path / "w.pth")
    said = capsys.readouterr().out
    assert "random start: blocks.1.norm2.bias, norm.weight, pos_embed (1, 5, 7) instead of (1, 5, 48)" in said
    fewer = {key: value for key, value in state.items() if not key.startswith("blocks.1.")}
    torch.save(fewer, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"does not fit .*, it brings \d\d % .* 90 % .*missing: blocks \(12 tensors\)"):
        load_checkpoint(VIT, small(VIT, 2), tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_one_line(content, suffix, tmp_path):
    (tmp_path / f"w{suffix}").write_bytes(content)
    with pytest.raises(ModelError, match="is not a checkpoint of weights") as caught:
        load_checkpoint(VIT, small(VIT, 2), tmp_path / f"w{suffix}")
    assert str(caught.value).isprintable()


def test_foreign_objects_are_not_opened_and_the_remedy_is_named(tmp_path):
    torch.save({"model": small(VIT, 1).state_dict(), "config": Path("x")}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="alone: it holds a pathlib.*save its weights alone"):
        load_checkpoint(VIT, small(VIT, 2), tmp_path / "w.pth")


def test_a_file_that_has_changed_since_it_was_planned_is_refused(tmp_path):
    file = tmp_path / "w.pth"
    torch.save(small(VIT, 1).state_dict(), file)
    digest = weights_digest(str(file))
    load_checkpoint(VIT, small(VIT, 2), file, digest)
    torch.save(small(VIT, 3).state_dict(), file)
    with pytest.raises(ModelError, match="w.pth has changed since the study was planned; put the file back, or give"):
        load_checkpoint(VIT, small(VIT, 2), file, digest)


def test_a_plan_knows_what_a_run_will_say(tmp_path):
    state = timm.create_model(VIT, num_classes=3).state_dict()
    torch.save(state, tmp_path / "w.pth")
    assert weights_note(VIT, str(tmp_path / "w.pth"), 64) == ""
    torch.save(state | {"stray": torch.zeros(1)}, tmp_path / "more.pth")
    assert weights_note(VIT, str(tmp_path / "more.pth"), 64).endswith("; not used: stray")
    with pytest.raises(ModelError, match="does not fit resnet18, it brings 0 %"):
        weights_note("resnet18", str(tmp_path / "w.pth"), 64)


def test_without_a_network_the_file_to_fetch_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelError) as error:
        build_backbone("resnet18", weights="hub")
    line = str(error.value)
    assert line.startswith("model.weights: resnet18 could not be loaded from the hub (") and "\n" not in line
    assert "fetch model.safetensors of the hub's repository timm/resnet18.a1_in1k" in line
    assert line.endswith("put it beside the study file and write weights: model.safetensors")
