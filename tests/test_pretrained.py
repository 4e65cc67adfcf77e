"""The models that come with the zoo, and folders of the same form."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import pretrained
from zoo.errors import UsageError
from zoo.evaluation.samples.feature_extractors import default_feature_extractor
from zoo.files import read_json, write_json
from zoo.noise import row_noise
from zoo.pictures import grid
from zoo.pretrained import shipping
from zoo.pretrained.saving import save_pretrained

VAE, CLASSIFIER = "color_mnist_mini/vae", "color_mnist_mini/classifier"
LARGEST = 64e6  # bytes of all that come with the zoo


@pytest.mark.parametrize("name", pretrained.names())
def test_each_is_what_its_card_says(name):
    card, run = pretrained.card_of(name), pretrained.open_pretrained(name)
    model = zoo.from_pretrained(name)
    assert card["name"] == name and card["dataset"] == run.config.data.dataset == name.split("/")[0]
    assert card["step"] == int(model.step.numpy()) <= run.config.training.steps
    assert card["data_source"] and card["limits"] and card["minutes_of_training"] > 1
    if card["is_an_instrument"]:
        return
    shown = np.asarray(Image.open(pretrained.folder_of(name) / "samples.png")).astype(int)
    drawn = grid(zoo.sample(run, 64, seed=0)["images"])
    # One level: another processor rounds elsewhere.
    assert np.abs(drawn.astype(int) - shown.reshape(drawn.shape)).max() <= 1
    has_classes = default_feature_extractor(card["dataset"]) is not None
    needed = {"fid", "inception_score"} if has_classes else {"ms_ssim_diversity"}
    assert needed <= {figure["metric"] for figure in card["figures"]}


def test_all_together_are_small():
    files = [f for n in pretrained.names() for f in pretrained.folder_of(n).rglob("*")]
    assert {VAE, CLASSIFIER} <= set(pretrained.names())
    assert sum(file.stat().st_size for file in files if file.is_file()) < LARGEST


def test_the_classifier_errs_as_its_card_says():
    model, run = zoo.from_pretrained(CLASSIFIER), pretrained.open_pretrained(CLASSIFIER)
    test = run.dataset.split("test")
    logits, _ = model.network(test.images / np.float32(255), training=False)
    wrong = (np.argmax(logits, axis=1) != test.labels).mean()
    assert abs(wrong - pretrained.card_of(CLASSIFIER)["last_log"]["test_error"]) <= 1.01 / len(
        test.labels
    )


def test_what_a_user_saves_is_the_same_elsewhere(tmp_path):
    """Bit for bit, by a clean process, and to be trained no further in its place."""
    run = zoo.train(tmp_path / "run", model="vae", width=0.06, latent_size=3, steps=3, batch_size=8)
    zoo.evaluate(run, "elbo")
    folder = save_pretrained(run, tmp_path / "mine", limits="Three steps.")
    code = (
        "import sys, zoo; m = zoo.from_pretrained(sys.argv[1]); "
        "print(m.fingerprint, int(m.step.numpy()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True
    )
    assert told.stdout.split() == [run.model.fingerprint, "3"]
    card = pretrained.card_of(folder)
    assert card["name"] == "mine" and "elbo" in {f["metric"] for f in card["figures"]}
    before = sorted(file.name for file in folder.rglob("*"))
    zoo.evaluate(zoo.load_run(folder), "marginal_kl", output=tmp_path / "evaluation.json")
    assert sorted(file.name for file in folder.rglob("*")) == before
    with pytest.raises(UsageError, match="nothing is written to its folder"):
        zoo.evaluate(folder, "elbo")
    with pytest.raises(UsageError, match="mine is a pretrained model, which does not go on"):
        zoo.train(folder, steps=6)
    with pytest.raises(UsageError, match="exists already"):
        zoo.save_pretrained(run, folder)


def test_a_run_begins_from_one(tmp_path, monkeypatch):
    """Through the program: its weights, its model, its data where no others are named."""
    monkeypatch.chdir(tmp_path)
    settings = {"width": 0.06, "latent_size": 3, "batch_size": 8, "kl_weight": 0.5}
    run = zoo.train("run", model="vae", steps=3, **settings)
    save_pretrained(run, "mine")
    train = (sys.executable, "-m", "zoo.flags.train", "--from=mine", "--learning_rate=1e-30")
    done = subprocess.run([*train, "--run_dir=tuned", "--steps=2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tuned = zoo.load_run("tuned")
    assert tuned.config.model.kl_weight == 0.5 and int(tuned.model.step.numpy()) == 2
    pairs = [m.decoder.trainable_variables for m in (run.model, tuned.model)]
    for expected, variable in zip(*pairs, strict=True):
        np.testing.assert_allclose(variable, expected, rtol=1e-6)
    own = [*train[:3], "--from=run", "--run_dir=further", "--steps=1", "--learning_rate=1e-30"]
    own += ["--dataset=array", "--data_dir=mine.npy", "--batch_size=4"]
    np.save("mine.npy", np.random.default_rng(0).integers(0, 256, (30, 28, 28, 3), np.uint8))
    for steps in (1, 2):  # goes on with its own data
        done = subprocess.run([*own, f"--steps={steps}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        own = [*train[:3], "--from=run", "--run_dir=further"]
    further = zoo.load_run("further")
    assert (further.config.data.dataset, further.config.training.batch_size) == ("array", 4)
    variable, expected = (r.model.decoder.trainable_variables[0] for r in (further, run))
    np.testing.assert_allclose(variable, expected, rtol=1e-6)
    for start, told in (("color_mnist_mini/classifier", "is a classifier"), ("nowhere", "vae")):
        line = [*train[:3], f"--from={start}", "--run_dir=other", "--steps=2"]
        refused = subprocess.run(line, capture_output=True, text=True)
        assert refused.returncode == 2 and f"from={start!r} is" in refused.stderr
        assert told in refused.stderr and refused.stderr.count("\n") == 1
    other = [*train, "--run_dir=other", "--steps=2", "--latent_size=4"]
    refused = subprocess.run(other, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "latent_size=4 is not that of pretrained mine: expected 3" in refused.stderr


def test_half_of_the_bytes(tmp_path):
    run = zoo.train(tmp_path / "run", model="vae", width=0.5, steps=1, batch_size=8)
    sizes, models = [], []
    for half in (False, True):
        folder = save_pretrained(run, tmp_path / f"half_{half}", half=half)
        sizes.append(next(folder.rglob("*.npz")).stat().st_size)
        models.append(zoo.from_pretrained(folder))
    assert sizes[1] < 0.6 * sizes[0]
    for name, value in models[0].state.items():
        np.testing.assert_allclose(models[1].state[name], value, rtol=1e-3, atol=1e-6)


def test_a_run_that_goes_on_is_not_shipped(tmp_path, monkeypatch):
    settings = {"model": "vae", "width": 0.06, "latent_size": 3, "batch_size": 8}
    run = zoo.train(tmp_path / "run", steps=1, **settings)
    config = read_json(run.path / "config.json")
    config["training"]["steps"] = 2
    write_json(run.path / "config.json", config)
    monkeypatch.setattr(shipping, "PLACE", tmp_path / "place")
    with pytest.raises(UsageError, match="has not reached its last step"):
        shipping.ship(zoo.load_run(run.path), "color_mnist_mini/vae", "None.")
    assert not (tmp_path / "place").exists()


def test_a_damaged_one_is_named(tmp_path):
    run = zoo.train(
        tmp_path / "run", model="dcgan", width=0.06, latent_size=3, steps=1, batch_size=8
    )
    folder = save_pretrained(run, tmp_path / "mine")
    weights = next(folder.rglob("*.npz"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UsageError, match=r"mine is damaged: .*state.npz is not what its manifest"):
        zoo.from_pretrained(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match="mine is damaged: it has no manifest.json"):
        zoo.from_pretrained(folder)
    (folder / "model_card.json").write_text(json.dumps({"format_version": 99, "name": "mine"}))
    with pytest.raises(UsageError, match="format 99, which a newer zoo wrote"):
        pretrained.card_of(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("color_mnist_mini/vea", "did you mean color_mnist_mini/vae"),
        ("/", "no pretrained model: it has no model_card.json"),
        ("../../etc", "is not accepted: expected one of"),
    ],
)
def test_others_are_refused(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        zoo.from_pretrained(name)


@pytest.mark.slow
def test_programs_take_it_by_name(tmp_path):
    """From any folder, without a run, and measured by the classifier that comes with the zoo."""

    def program(name, *arguments):
        command = [sys.executable, "-m", f"zoo.flags.{name}", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    chosen = f"--pretrained={VAE}"
    assert program("sample", chosen, "--output=samples.png").returncode == 0
    assert (tmp_path / "samples.png").exists()
    measure = (chosen, "--metrics=inception_score", "--num_samples=200")
    refused = program("evaluate", *measure)
    assert refused.returncode == 2 and "needs --output" in refused.stderr
    assert program("evaluate", *measure, "--output=e.json").returncode == 0
    records = {r["metric"]: r for r in read_json(tmp_path / "e.json")["records"]}
    assert records["inception_score"]["value"] > 5
    assert CLASSIFIER in records["inception_score"]["feature_extractor"]
    assert records["inception_score"]["subject"] == f"pretrained {VAE}"
    listed = program("sample", "--list_pretrained").stdout
    assert f"{VAE} " in listed and "20000 steps" in listed and "inception_score" in listed


@pytest.mark.slow
def test_it_is_served(tmp_path):
    command = [sys.executable, "-m", "zoo.flags.serve", f"--pretrained={VAE}"]
    ports = ("--rest_port=0", "--grpc_port=0")
    with subprocess.Popen([*command, *ports], cwd=tmp_path, stdout=subprocess.PIPE) as server:
        _, line = (server.stdout.readline().decode() for _ in range(2))
        address = re.search(r"http://\S+/models/vae", line).group()
        body = json.dumps({"signature_name": "sample", "instances": [{"seed": 3}]}).encode()
        with urllib.request.urlopen(f"{address}:predict", body) as answer:
            (row,) = json.load(answer)["predictions"]
        server.send_signal(signal.SIGTERM)
    assert server.returncode == 0
    model = zoo.from_pretrained(VAE)
    seed = row_noise(np.array([3], np.int32))
    np.testing.assert_allclose(model.sample(seed=seed)["images"][0], row["images"], atol=1e-5)
