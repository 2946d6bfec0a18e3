"""Arrays of pixels and of a frozen trunk, damaged on disk or made from something else: never used."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.array_files import open_array, write_array
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.errors import AgglabError
from aggregation_lab.training import token_cache
from aggregation_lab.training.token_cache import TokenCache, open_tokens
from tests.fuzzing import flip


def test_an_array_made_from_something_else_is_foreign(tmp_path):
    """Whole, and of the right shape, but written under another name, which says what it was made from."""
    mine, other = tmp_path / "images-16-aaaa.npy", tmp_path / "images-16-bbbb.npy"
    write_array(mine, (3,), "|u1", [np.array([1, 2, 3])])
    shutil.copy(mine, other)
    assert open_array(mine, (3,), np.uint8).tolist() == [1, 2, 3]
    assert open_array(other, (3,), np.uint8) is None
    assert open_array(mine, (4,), np.uint8) is None and open_array(mine, (3,), np.float32) is None


def open_trunk(folder: Path, computed: list[slice]) -> TokenCache:
    def compute(rows: slice) -> np.ndarray:
        computed.append(rows)
        return np.arange(rows.start, rows.stop, dtype=np.float32)[:, None, None].repeat(2, 1)

    return open_tokens(folder, token_cache.SHARD + 3, (2, 1), compute, lambda ready: None)


def test_a_damaged_trunk_is_computed_again_shard_by_shard(tmp_path, capsys):
    computed: list[slice] = []
    rows = np.array([0, 5, token_cache.SHARD + 1])
    assert open_trunk(tmp_path, computed)[rows][:, 0, 0].tolist() == rows.tolist()
    flip(tmp_path / f"{token_cache.SHARD:07d}.npy")
    computed.clear()
    trunk = open_trunk(tmp_path, computed)
    assert computed == [slice(token_cache.SHARD, token_cache.SHARD + 3)]
    assert f"{token_cache.SHARD:07d}.npy: is damaged; it is computed again" in capsys.readouterr().out
    assert trunk[rows][:, 0, 0].tolist() == rows.tolist()
    trunk.check()
    flip(tmp_path / "0000000.npy")
    with pytest.raises(AgglabError, match=r"0000000.npy: was damaged while it was in use"):
        trunk.check()


def test_a_trunk_that_never_comes_back_as_it_was_written_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(token_cache, "open_array", lambda *_: None)
    with pytest.raises(AgglabError, match="is never read back as it was written; the disk"):
        open_trunk(tmp_path, [])


def test_pixels_damaged_between_two_runs_of_one_process_are_noticed(tiny_original, tmp_path):
    dataset = read_dataset(tiny_original)
    cache = open_cache(dataset, 16, tmp_path)
    cache.check()
    flip(cache.image_file)
    with pytest.raises(AgglabError, match=r"images-16-.*: was damaged while it was in use; the same command"):
        cache.check()
    for file in (cache.image_file, cache.mask_file):
        file.touch()
    again = open_cache(dataset, 16, tmp_path)
    again.check()
    assert again.image_file == cache.image_file
