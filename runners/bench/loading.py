"""The image cache against decoding each image each time."""

import numpy as np
from PIL import Image

from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from runners.bench.setting import Setting
from runners.bench.tables import Table, ratios
from runners.bench.timing import paired, ratio

IMAGES = 64


def loading(setting: Setting) -> Table:
    """Time to get a batch by decoding its files over time to get it from the cache."""
    dataset = read_dataset(setting.phantoms)
    cache = open_cache(dataset, setting.size, setting.scratch / "loading")
    images = dataset.images.head(IMAGES)
    rows = [cache.image_row[content] for content in images["content"]]
    side = (setting.size, setting.size)

    def decode() -> np.ndarray:
        opened = [Image.open(dataset.root / path).convert("L").resize(side) for path in images["image"]]
        return np.stack([np.asarray(image) for image in opened])

    decoded, cached = paired(decode, lambda: cache.images[rows], rounds=setting.rounds)
    return ratios("Loading", {"decoding each time / cached loading": ratio(decoded, cached)}, {})
