"""ONNX files give what torch gives, for any number of images, or are not there."""

import numpy as np
import pytest
import torch

import aggregation_lab as agg
from aggregation_lab.errors import ModelError
from aggregation_lab.inference import export
from aggregation_lab.inference.export import export_onnx
from tests.aggregation_lab.inference.trained import SIZE, Trained


@pytest.mark.slow
def test_a_file_gives_what_torch_gives_and_one_that_differs_is_refused(trained_run: Trained, tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    model, programs, exporter = agg.load_model(trained_run.folder), [], torch.onnx.export

    def remembered(*given, **settings):
        programs.append(programs[0] if programs else exporter(*given, **settings))
        return programs[-1]

    monkeypatch.setattr(torch.onnx, "export", remembered)
    file = tmp_path / "axis.onnx"
    assert export_onnx(model, "tiny_head_axis", file) <= 1e-4
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    case = trained_run.test_cases("tiny_head_axis").iloc[0]
    seen = model.input_of(trained_run.dataset.root / case["image"], "tiny_head_axis").pixels
    square = np.repeat(seen.transpose(2, 0, 1), 3, axis=0)[None].astype(np.float32)
    (points,) = model.predict(trained_run.dataset.root / case["image"], "tiny_head_axis")
    sides = [case["width"], case["height"]]
    for count in (1, 5):
        (found,) = session.run(None, {"images": np.repeat(square, count, axis=0)})
        assert found.shape == (count, 2, 2)
        np.testing.assert_allclose(found * sides, np.stack([points] * count), rtol=0, atol=5e-3)
    # the run saw grey images only: colours become the grey that `predict` makes of them
    colours = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    (points,) = model.predict(colours, "tiny_head_axis")
    (found,) = session.run(None, {"images": colours.transpose(2, 0, 1)[None].astype(np.float32)})
    np.testing.assert_allclose(found[0] * SIZE, points, rtol=0, atol=5e-3)
    properties = session.get_modelmeta().custom_metadata_map
    assert (properties["channels"], properties["levels"]) == ("1", "")
    assert properties["run"] == model.description.spec.id and properties["image_size"] == str(SIZE)
    before = file.read_bytes()
    with pytest.raises(ModelError, match="axis.onnx: is there already, and is no export of this run and task; choose"):
        export_onnx(model, "tiny_kind", file)
    (tmp_path / "data.csv").write_text("mine")
    with pytest.raises(ModelError, match="data.csv: is there already"):
        export_onnx(model, "tiny_head_axis", tmp_path / "data.csv")
    (tmp_path / "data.csv").unlink()
    assert file.read_bytes() == before
    assert export_onnx(model, "tiny_head_axis", file) <= 1e-4  # its own earlier export is replaced
    # the same program again, for a model that has got other weights since: new ones, since a program shares the old
    maps = model.network.heads["tiny_head_axis"].heat_maps
    maps.weight = torch.nn.Parameter(-3 * maps.weight.detach())
    with pytest.raises(ModelError, match="again.onnx: not written, the exported model differs from torch by 0"):
        export_onnx(model, "tiny_head_axis", tmp_path / "again.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["axis.onnx"]


def test_a_missing_package_is_named(trained_run: Trained, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(ModelError, match=r"export needs onnxscript; pip install -e '\.\[onnx\]' brings it"):
        export_onnx(agg.load_model(trained_run.folder), "tiny_kind", tmp_path / "kind.onnx")
