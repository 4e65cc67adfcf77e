"""The files of deploy/: their paths and flags, against an export and each other."""

import re
from pathlib import Path

import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

import zoo
from zoo.flags import train
from zoo.pretrained import open_pretrained

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "serving/compose.yaml").read_text())["services"]["serving"]
DEPLOYMENT, SERVICE = yaml.safe_load_all((DEPLOY / "serving/kubernetes.yaml").read_text())
# Of tensorflow_model_server --help, as its source has them.
FLAGS = {
    *("port", "rest_api_port", "model_config_file", "enable_batching", "batching_parameters_file"),
    "monitoring_config_file",
}


def instruction(name, file="serving/Dockerfile"):
    text = re.sub(r"\\\n\s*", "", (DEPLOY / file).read_text())
    return [line.split(" ", 1)[1] for line in text.splitlines() if line.startswith(f"{name} ")]


ENTRYPOINT = yaml.safe_load(instruction("ENTRYPOINT")[0])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """As `zoo-export --pretrained=color_mnist_mini/vae --output=served --name=vae` leaves it."""
    served = tmp_path_factory.mktemp("deploy") / "served"
    zoo.export_run(open_pretrained("color_mnist_mini/vae"), served, "vae")
    config = text_format.Parse(
        (DEPLOY / "serving/models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    (entry,) = config.model_config_list.config
    assert entry.base_path.startswith("/models/")
    return entry.name, served / Path(entry.base_path).relative_to("/models")


def test_the_model_is_where_the_server_looks_for_it(model):
    name, folder = model
    (version,) = folder.iterdir()
    assert version.name == "1" and (version / "saved_model.pb").exists()
    assert "sample" in tf.saved_model.load(str(version)).signatures
    assert instruction("COPY")[1] == f"served/{folder.name} /models/{folder.name}"
    assert "../../served:/models:ro" in COMPOSE["volumes"]
    assert (DEPLOY / "serving/../../served").resolve() == ROOT / "served"
    container = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] == f"/v1/models/{name}"


def test_image_and_compose_start_the_server_alike():
    assert [*COMPOSE["entrypoint"], *COMPOSE["command"]] == ENTRYPOINT
    assert {flag.lstrip("-").partition("=")[0] for flag in COMPOSE["command"]} == FLAGS
    files = re.findall(r"=/config/(\S+)", " ".join(COMPOSE["command"]))
    assert len(files) == 3 and all((DEPLOY / "serving" / file).exists() for file in files)
    assert instruction("COPY")[0].split() == [
        *(f"deploy/serving/{file}" for file in files),
        "/config/",
    ]
    assert instruction("FROM") == [COMPOSE["image"]]


def test_ports_meet():
    ports = dict(flag.lstrip("-").split("=") for flag in ENTRYPOINT[1:3])
    container = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
    opened = {p["name"]: str(p["containerPort"]) for p in container["ports"]}
    assert opened == {"grpc": ports["port"], "rest": ports["rest_api_port"]}
    assert {p["targetPort"] for p in SERVICE["spec"]["ports"]} == set(opened)
    assert [p.rsplit(":", 1)[1] for p in COMPOSE["ports"]] == list(opened.values())
    assert instruction("EXPOSE") == [" ".join(opened.values())]
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["selector"]["matchLabels"]
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["template"]["metadata"]["labels"]


def test_metrics_are_where_they_are_looked_for():
    path = re.search(r'path: "([^"]+)"', (DEPLOY / "serving/monitoring.config").read_text())[1]
    annotations = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == path


def test_batching_parameters_have_the_servers_names():
    text = (DEPLOY / "serving/batching.config").read_text()
    names = re.findall(r"^(\w+) \{ value: \d+ \}$", text, re.MULTILINE)
    assert names == [
        *("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"),
    ]


def test_the_training_image_runs_a_program_of_the_package():
    (program,) = yaml.safe_load(instruction("ENTRYPOINT", "training/Dockerfile")[0])
    assert program == "zoo-train" and callable(train.run)
    extras = re.search(r"/src\[([\w,]+)\]", (DEPLOY / "training/Dockerfile").read_text())[1]
    declared = (ROOT / "setup.py").read_text()
    assert all(f'"{extra}": ' in declared for extra in extras.split(","))
