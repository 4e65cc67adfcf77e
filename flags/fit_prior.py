"""zoo-fit-prior: fits a prior to the codes of a trained run, as a new run that draws from it.

zoo-fit-prior --run_dir=runs/vae --prior=gmm_full_10 --output_dir=runs/vae_gmm

The model stays as it is. The new run is sampled, measured and exported as any other; it is not
trained on.
"""

from __future__ import annotations

from absl import flags

from zoo.files import check_writable
from zoo.flags import parsers, paths, program
from zoo.registry import EX_POST_PRIORS, NO_PRIOR
from zoo.run import Run
from zoo.settings import check_seed


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-fit-prior."""
    program.define_shared(values, "run_dir", run_dir="Folder of the run whose codes are fitted.")
    paths.define_path("output_dir", None, "Folder of the new run.", flag_values=values)
    help = "What is fitted."
    parsers.define_choice("prior", None, tuple(EX_POST_PRIORS), help, flag_values=values)
    parsers.define_whole("seed", 0, "Seed of codes and fit.", flag_values=values)
    help = "Updates of a network (maf, two_stage); 2000 by default."
    parsers.define_whole("steps", None, help, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Fits."""
    for name in ("run_dir", "prior", "output_dir"):
        program.exactly_one(values, name)
    check_seed(values.seed)
    program.check_positive(values, "steps")
    run = Run.open(values.run_dir)
    check_writable(Run.check_folder(values.output_dir) / "config.json")
    program.start_tensorflow()
    from zoo.training.ex_post import DEFAULT_STEPS, fit_prior

    made, fit = fit_prior(
        run, values.prior, values.output_dir, values.seed, values.steps or DEFAULT_STEPS
    )
    before = "log N(z; 0, I)" if run.config.model.prior == NO_PRIOR else "log p(z)"
    print(
        f"wrote {made.path}: {values.prior} fitted to {fit.fit_codes} codes; log r(z) - {before} "
        f"of {fit.held_out_codes} validation codes is {fit.log_ratio:.6g} +- "
        f"{fit.log_ratio_standard_error:.3g} nats"
    )


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
