"""Sweeps: what a grid expands to, and one through the program with members that crash."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from absl import flags as absl_flags

from tests.flags.test_programs import TINY, call, contents
from zoo.config import RunConfig, parse_learning_rate
from zoo.flags import program, sweep, train
from zoo.models import model_class, resolve
from zoo.paper import grids
from zoo.sweep import Entry, Sweep

ROOT = Path(__file__).parents[2]
PATIENCE = 200  # seconds


class Shaped:
    """What resolving a model asks of a data set."""

    image_shape = (28, 28, 3)


def parsed(*arguments):
    values = absl_flags.FlagValues()
    train.define(values)
    program.parse(values, ["zoo-train", *arguments], "about")
    return values


def settings(*arguments):
    values = parsed(*arguments)
    return [program.settings(values) | point.given for point in sweep.expand(values)]


def test_axes_are_crossed():
    points = sweep.expand(parsed("--sweep=latent_size=10,50", "--sweep=kl_weight=1,4.5"))
    assert [point.swept for point in points] == [
        {"latent_size": 10, "kl_weight": 1.0},
        {"latent_size": 10, "kl_weight": 4.5},
        {"latent_size": 50, "kl_weight": 1.0},
        {"latent_size": 50, "kl_weight": 4.5},
    ]
    assert points[1].folder == "latent_size=10,kl_weight=4.5"
    assert points[2].folder == "latent_size=50,kl_weight=1"


def test_one_value_in_several_spellings_is_one_run():
    points = sweep.expand(parsed("--sweep=learning_rate=1e-4,0.0001,1E-4", "--sweep=kl_weight=1.0"))
    assert [point.folder for point in points] == ["learning_rate=0.0001,kl_weight=1"]


def test_rates_of_players_join_what_is_given():
    chosen = settings(
        "--learning_rate=1e-3,code_critic=2e-4",
        "--sweep=learning_rate.encoder+decoder=5e-4,1e-4",
        "--sweep=learning_rate.code_critic=3e-4",
    )
    rates = [RunConfig.create(**point).training.learning_rate for point in chosen]
    assert rates == [
        {"all": 1e-3, "encoder": rate, "decoder": rate, "code_critic": 3e-4}
        for rate in (5e-4, 1e-4)
    ]


def test_a_sweep_of_the_whole_rate_replaces_what_is_given():
    chosen = settings("--learning_rate=encoder=1e-3", "--sweep=learning_rate=5e-4")
    assert RunConfig.create(**chosen[0]).training.learning_rate == {"all": 5e-4}


def test_folders_of_values_with_slashes_stay_below_the_sweep():
    points = sweep.expand(parsed("--dataset=folder", "--sweep=data_dir=/a/b,../c"))
    assert [point.folder for point in points] == ["data_dir=%2Fa%2Fb", "data_dir=..%2Fc"]
    assert points[0].given["data_dir"] == "/a/b"


SIZES = {
    "table_3_vae": 4,
    "table_3_gan": 9,
    "table_3_aae": 12,
    "table_3_vgh": 36,
    "table_3_veegan": 9,
    "latent_sizes": 3,
    "reconstruction_weights": 16,
}


def test_every_file_is_listed_above():
    assert set(SIZES) == set(grids.SWEEPS)


@pytest.mark.parametrize("name", SIZES)
def test_sweeps_of_the_package(name):
    content = grids.read(name)
    assert set(content) == {"about", "models", "grid"} and "Rosca et al. 2018" in content["about"]
    for model in content["models"]:
        chosen = settings(f"--preset=color_mnist/{model}", f"--sweep={name}")
        configs = [resolve(RunConfig.create(**point), Shaped()) for point in chosen]
        assert len({str(config) for config in configs}) == SIZES[name]
        assert {config.model.model for config in configs} == {model}
        if name.startswith("table_3"):
            rates = list(map(parse_learning_rate, grids.table_3(model)))
            assert [config.training.learning_rate for config in configs] == rates


def test_table_3_has_rates_for_every_model_of_the_paper():
    assert grids.paper_models() == [
        *("vae", "dcgan", "wgan_gp", "aae", "adversarial_vb", "veegan", "vgh", "vgh_plus_plus")
    ]
    for name in grids.paper_models():
        rates = parse_learning_rate(grids.table_3(name)[0])
        assert set(rates) == set(model_class(name).players)


def test_the_table_of_vgh_moves_encoder_and_decoder_together():
    rates = [
        RunConfig.create(**point).training.learning_rate
        for point in settings("--model=vgh", "--sweep=table_3_vgh")
    ]
    assert all(rate["encoder"] == rate["decoder"] for rate in rates)
    assert {rate["image_critic"] for rate in rates} == {1e-4, 2e-4, 5e-4}


MISTAKES = [
    ("--sweep=latentsize=10", "unknown setting 'latentsize'"),
    ("--sweep=table_4", "expected an axis as latent_size=10,50, or one of latent_sizes"),
    ("--sweep=latent_size=10,many", "latent_size='many' is not accepted"),
    ("--sweep=latent_size=10,0", "latent_size=0 is not accepted"),
    ("--sweep=learning_rate=fast", "learning_rate='fast' is not accepted"),
    ("--sweep=learning_rate=0.1,-1", "learning_rate="),
    ("--sweep=learning_rate.image_critic=1e-3", "names the player 'image_critic'"),
    ("--sweep=latent_size.encoder=3", "expected learning_rate.PLAYER+PLAYER=..."),
    ("--sweep=learning_rate.encoder+=1e-3", "expected learning_rate.PLAYER+PLAYER=..."),
    ("--sweep=latent_size=10 --sweep=latent_sizes", "latent_size is swept twice"),
    ("--sweep=latent_size=", "latent_size has no values"),
    ("--sweep=real_weight=1,2", "vae has no option real_weight"),
    ("--sweep=posterior=gaussian,normal", "posterior='normal' is not accepted"),
    ("--sweep=strategy=multi_worker", "does not work with --sweep"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_one_line_before_any_run(tmp_path, capsys, arguments, message):
    assert call("train", f"--run_dir={tmp_path / 'sweep'}", *arguments.split()) == 2
    seen = capsys.readouterr()
    assert message in seen.err and seen.err.count("\n") == 1 and seen.out == ""
    assert not list(tmp_path.iterdir())


def test_a_sweep_needs_a_folder_of_its_own(tmp_path, capsys):
    assert call("train", "--sweep=latent_sizes") == 2
    assert "give --run_dir" in capsys.readouterr().err
    for name, file, message in (
        ("run", "config.json", "is a run folder"),
        ("papers", "thesis.tex", "is not empty and holds no sweep"),
        ("index", "sweep.json", "is not the index of a sweep"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
        before = contents(tmp_path)
        assert call("train", "--sweep=seed=1", f"--run_dir={tmp_path / name}") == 2
        assert message in capsys.readouterr().err and contents(tmp_path) == before


def test_the_index_keeps_what_was_there(tmp_path):
    Sweep.open(tmp_path).note({"seed=0": Entry({"seed": 0}, "finished")})
    Sweep.open(tmp_path).note({"seed=1": Entry({"seed": 1}, "failed", "killed by SIGKILL")})
    entries = Sweep.open(tmp_path).entries
    assert entries["seed=0"] == Entry({"seed": 0}, "finished", "")
    assert entries["seed=1"].message == "killed by SIGKILL"


# ---- Through the program -------------------------------------------------------------------------


def start(folder, *arguments):
    command = [sys.executable, "-m", "zoo.flags.train", *TINY, f"--run_dir={folder}", *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def states(folder):
    return {name: entry.state for name, entry in Sweep.open(folder).entries.items()}


def steps(folder):
    return sorted(int(f.name[5:]) for f in (folder / "checkpoints").glob("step-*"))


def when(process, true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def child_of(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_crash_leaves_the_others_and_the_same_command_goes_on(tmp_path, capfd):
    """The first diverges, the second is killed, the third stopped; then again."""
    grid = ["--sweep=learning_rate=1e30,1e-3,1e-4", "--steps=100000"]
    names = [f"learning_rate={rate}" for rate in ("1e+30", "0.001", "0.0001")]
    first, second, third = (tmp_path / name for name in names)
    process = start(tmp_path, *grid)
    when(process, lambda: steps(second))
    os.kill(child_of(process), signal.SIGKILL)
    when(process, lambda: steps(third))
    # The sweep itself is stopped: its child ends with a checkpoint, and it with 0.
    process.terminate()
    code, out, err = finish(process)
    assert code == 0 and "stopped at run 3 of 3; the same command goes on" in out, err
    assert states(tmp_path) == dict(zip(names, ("failed", "failed", "unfinished"), strict=True))
    entries = Sweep.open(tmp_path).entries
    assert "not finite" in entries[names[0]].message
    assert entries[names[1]].message == "killed by SIGKILL"
    reached = [max(steps(folder)) for folder in (second, third)]
    assert not steps(first)

    shorter = [*grid[:1], f"--steps={max(reached) + 2}"]
    code, out, err = finish(start(tmp_path, *shorter))
    assert code == 1 and "2 of 3 runs are finished" in out, err
    assert f"failed: {names[0]}: " in out
    assert states(tmp_path) == dict(zip(names, ("failed", "finished", "finished"), strict=True))
    for entry, run in Sweep.open(tmp_path).runs():
        logged = [line["step"] for line in run.history()]
        assert max(steps(run.path)) == max(reached) + 2 == logged[-1]
        assert logged == sorted(set(logged))
        assert run.config.training.learning_rate["encoder"] == entry.settings["learning_rate"]

    written = {f: f.stat().st_mtime_ns for f in second.rglob("*") if f.is_file()}
    again = [*TINY, shorter[1], f"--run_dir={tmp_path}"]
    assert call("train", *again, "--sweep=learning_rate=1e-3,1e-4") == 0
    assert capfd.readouterr().out.count("finished already") == 2
    assert {f: f.stat().st_mtime_ns for f in second.rglob("*") if f.is_file()} == written
    assert states(tmp_path)[names[0]] == "failed"
    assert call("train", *again, "--sweep=learning_rate=1e-3", "--seed=3") == 2
    assert "holds another run: seed: 0 -> 3" in capfd.readouterr().err
