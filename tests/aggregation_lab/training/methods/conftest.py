import pytest

from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.phantoms import PhantomConfig, write_phantoms
from aggregation_lab.data.splits.split import draw_split
from tests.aggregation_lab.training.methods.trainers import SIZE, TASKS, Study


@pytest.fixture(scope="package")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, PhantomConfig(tasks=TASKS, minimum=48, maximum=48, image_size=48), workers=1)
    dataset = read_dataset(folder)
    return dataset, draw_split(dataset), open_cache(dataset, SIZE, tmp_path_factory.mktemp("cache"))
