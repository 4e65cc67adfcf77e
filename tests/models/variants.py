"""Every model and option that the shared contract covers, as the registry and the models declare
them: what is new there joins by itself."""

import pytest

from zoo.config import ModelConfig
from zoo.models import build_model, model_class
from zoo.registry import INSTRUMENTS, LIKELIHOODS, MODELS, NETWORKS, POSTERIORS, PRIORS, follow

SHAPE = (28, 28, 3)
_, *OTHER_NETWORKS = (name for name, family in NETWORKS.items() if family.fits(SHAPE))
TINY = {"latent_size": 3, "width": 0.06}
# Numbers that have no effect but with another setting.
NEEDED = {
    "kl_warmup_steps": {"kl_schedule": "linear"},
    "kl_capacity_weight": {"kl_capacity": 1.0},
}


def another(option):
    """A value of an option that is not its default."""
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    if option.kind == "bool":
        return not option.default
    if option.default is None:
        return {"int": 1, "float": 1.0}[option.kind]
    return 2 * option.default if option.kind == "float" else option.default + 1


def own(cls, name):
    """What a class states itself, and does not inherit."""
    inherited = getattr(cls.__base__, name, ())
    return [value for value in getattr(cls, name) if value not in inherited]


def variants():
    """The numbers among a model's options at once, since they change no path through the code, but
    for those that need another setting, and each other option by itself, those that several models
    share on the first. Each likelihood, posterior and prior, with each of its options, on the first
    model that takes it, and each posterior and prior on every model that names it; each other
    family of networks on the first model that has a player of a kind."""
    found, seen = [], set()
    for model in MODELS | INSTRUMENTS:
        cls = model_class(model)
        options = [option for option in own(cls, "options") if option not in seen]
        numbers = {o.name: another(o) for o in options if type(o.default) in (int, float)}
        paths = [{o.name: another(o)} for o in options if o.name not in numbers]
        paths += [{n: numbers.pop(n), **NEEDED[n]} for n in NEEDED if n in numbers]
        found += [{"model": model, **settings} for settings in (numbers, *paths) if settings]
        seen |= {*options}
        if model in INSTRUMENTS:
            continue
        new = [("likelihood", n, LIKELIHOODS[n]) for n in cls.likelihoods if n not in seen]
        new += [("posterior", n, POSTERIORS[n]) for n in own(cls, "posteriors")]
        new += [("prior", n, PRIORS[n]) for n in own(cls, "priors")]
        for kind, name, part in new:
            variant = {"model": model, kind: name}
            defaults = (*cls.likelihoods[:1], *cls.posteriors[:1], *cls.priors[:1])
            if name not in defaults:
                found.append(variant)
            if name not in seen:
                options = follow(part).options
                found += [{**variant, option.name: another(option)} for option in options]
            seen.add(name)
        if not seen.issuperset(cls.players):
            seen |= {*cls.players}
            found += [{"model": model, "network": name} for name in OTHER_NETWORKS]
    return found


OPTIONS = variants()
# Generative ones; and all that the same base trains, generative or not.
TRAINED = [*({"model": name} for name in MODELS | INSTRUMENTS), *OPTIONS]
VARIANTS = [variant for variant in TRAINED if variant["model"] in MODELS]
# Those whose exports differ: other options change the training alone, and leave the same graphs.
PARTS = {"likelihood", "posterior", "prior", "network"}
GRAPH = {"model", *PARTS, "flow_context", "adaptive_contrast"}
EXPORTED = [variant for variant in VARIANTS if GRAPH.issuperset(variant)]
# The models, and what is another path through the code, once each: a compiled step is 100 MB.
PATHS = [
    variant
    for variant in TRAINED
    if not any(type(value) in (int, float) for value in variant.values())
    and (variant["model"] == next(iter(MODELS)) or not PARTS.intersection(variant))
]


# One model of each kind of step: a bound; a critic of several updates and a penalty; four players;
# a statistic of the whole batch; an encoder that is the critic; labels.
KINDS = ("vae", "wgan_gp", "vgh_plus_plus", "wae_mmd", "age", "classifier")


def fast_then_slow(variants, models=(*MODELS, *INSTRUMENTS)):
    """Parameters for tests that take long: these models, and in the slow suite all others."""
    fast = [{"model": name} for name in models]
    return [v if v in fast else pytest.param(v, marks=pytest.mark.slow) for v in variants]


def variant_id(variant):
    model, *settings = variant.items()
    return "-".join([model[1], *(f"{name}={value}" for name, value in settings)])


def tiny_model(variant, seed=0, **kwargs):
    tiny = {**TINY, "latent_size": TINY["latent_size"] if variant["model"] in MODELS else None}
    return build_model(ModelConfig(**tiny, **variant), SHAPE, seed, **kwargs)
