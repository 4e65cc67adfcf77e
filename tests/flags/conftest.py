import numpy as np
import pytest
from PIL import Image

from tests.flags.in_process import call

TINY = [
    *("--strategy=one_device", "--steps=2", "--batch_size=8", "--width=0.06"),
    *("--latent_size=3", "--log_every=1", "--checkpoint_every=1"),
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """`run`, a trained and evaluated run, and `served/tiny/1`, its SavedModel. Copy to change."""
    folder = tmp_path_factory.mktemp("trained")
    run = folder / "run"
    assert call("train", *TINY, f"--run_dir={run}") == 0
    assert call("evaluate", f"--run_dir={run}", "--metrics=elbo", "--num_samples=4") == 0
    assert call("export", f"--run_dir={run}", f"--output={folder / 'served'}", "--name=tiny") == 0
    return folder


@pytest.fixture
def save_images():
    """Writes so many small images of noise into a folder."""

    def save(folder, count):
        folder.mkdir(parents=True)
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.png")

    return save
