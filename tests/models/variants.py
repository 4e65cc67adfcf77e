"""Every model and option that the shared contract covers. A new name in MODELS joins by itself."""

from zoo.config import ModelConfig
from zoo.models import INSTRUMENTS, MODELS, build_model

TINY = {"latent_size": 3, "width": 0.06}

OPTIONS = [
    {"model": "vae", "kl_weight": 4.0},
    {"model": "vae", "likelihood": "quantized_normal"},
    {"model": "vae", "likelihood": "quantized_normal", "dequantization": "none"},
    {"model": "vae", "likelihood": "categorical"},
    {"model": "vae", "posterior": "real_nvp"},
    {"model": "vae", "posterior": "real_nvp", "flow_context": True},
    {"model": "wgan_gp", "critic_updates": 2},
    {"model": "aae", "posterior": "deterministic"},
    {"model": "aae", "posterior": "implicit"},
    {"model": "aae", "code_critic_units": 50},
    {"model": "adversarial_vb", "adaptive_contrast": True},
    {"model": "veegan", "reconstructor_adversarial": True},
    {"model": "vgh", "posterior": "gaussian"},
    {"model": "vgh_plus_plus", "real_weight": 1.0, "adversarial_loss": "reverse_kl"},
]

VARIANTS = [{"model": name} for name in MODELS] + OPTIONS
# What is trained by the same base, generative or not.
TRAINED = [*VARIANTS, *({"model": name} for name in INSTRUMENTS)]


def variant_id(variant):
    return "-".join(str(value) for value in variant.values())


def tiny_model(variant, seed=0, **kwargs):
    tiny = {**TINY, "latent_size": TINY["latent_size"] if variant["model"] in MODELS else None}
    return build_model(ModelConfig(**tiny, **variant), (28, 28, 3), seed, **kwargs)
