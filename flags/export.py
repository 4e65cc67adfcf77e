"""zoo-export: writes a trained run as a SavedModel, ready for TF Serving or any other client.

zoo-export --run_dir=runs/vae --output=served --name=vae

makes served/vae/1/, or the next free version, in one rename: complete or not at all. With
--format=saved_model,onnx,tflite its assets.extra/portable/ has the functions decode, encode and
elbo_noise for other runtimes; with --format=saved_model,web its assets.extra/web/ is a page with
sliders for any file server, which runs the model in the browser.
"""

from __future__ import annotations

from absl import flags

from zoo.errors import UsageError
from zoo.export.formats import PACKAGES, SAVED_MODEL, WEB, require_formats
from zoo.export.versions import new_version
from zoo.export.web import RUNTIME_FOLDER, RUNTIME_VERSION
from zoo.files import check_writable
from zoo.flags import parsers, paths, program, sources


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-export."""
    sources.define(values, sources.RUNS)
    program.define_shared(values, "output", output="Folder above the model's name.")
    flags.DEFINE_string("name", None, "Name of the model towards its clients.", flag_values=values)
    parsers.define_whole(
        "version", None, "Version; the next free one by default.", flag_values=values
    )
    flags.DEFINE_list(
        "signatures",
        None,
        "Which signatures; all that the model has by default.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "format",
        [SAVED_MODEL],
        f"What to write: {SAVED_MODEL}, and any of "
        f"{', '.join(name for name in PACKAGES if name != SAVED_MODEL)} beside it.",
        flag_values=values,
    )
    paths.define_path(
        "web_runtime",
        RUNTIME_FOLDER,
        f"For {WEB}: the folder dist of onnxruntime-web, which npm install "
        f"onnxruntime-web@{RUNTIME_VERSION} makes here.",
        flag_values=values,
    )


def main(values: flags.FlagValues) -> None:
    """Exports."""
    program.exactly_one(values, *sources.RUNS)
    for name in ("output", "name"):
        program.exactly_one(values, name)
    program.check_positive(values, "version")
    if values.signatures == []:
        raise UsageError("signatures='' is not accepted: expected names, as decode,sample")
    require_formats(values["format"].value, values.web_runtime)
    run = sources.run_of(values)
    assert run is not None  # one of the two is given
    check_writable(new_version(values.output, values["name"].value, values.version))
    program.start_tensorflow()
    from zoo.export.saved_model import export_saved_model

    folder = export_saved_model(
        run,
        values.output,
        values["name"].value,
        values.version,
        values.signatures,
        values["format"].value,
        values.web_runtime,
    )
    print(f"exported step {int(run.model.step.numpy())} of {run.name} to {folder}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
