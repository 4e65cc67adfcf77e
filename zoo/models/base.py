"""What all models share: players, their updates, and the tensors that signatures return.

A model owns networks, one per *player*. Each player has one optimiser and one loss. A subclass
writes

    losses(images, noise, training) -> (one scalar per player, a report of per-example terms)

and reads like its equations; everything about tapes, optimisers, replicas and metrics is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from zoo import networks
from zoo.config import ALL_PLAYERS, ModelConfig
from zoo.distributions.likelihoods import LIKELIHOODS, Generated, Likelihood, QuantizedNormal
from zoo.distributions.posteriors import POSTERIORS, RealNVPHead, prior
from zoo.errors import UsageError
from zoo.networks.critics import CodeCritic, ImageCritic, JointCritic
from zoo.networks.encoder import Encoder
from zoo.noise import Noise, step_noise

Losses = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Matching:
    """What a model matches, as data: its row of the paper's Figure 7 (paper.md section 6.10).

    Attributes:
        visible: how p(x) is matched to the data.
        latent: how q(z) or q(z|x) is matched to the prior.
        decoder: "explicit" where p(x|z) has a density, else "implicit".
        posterior: "explicit", "implicit", "either" or "none".
        bound: "exact" (closed-form KL), "estimate" (unbiased Monte Carlo KL), "ratio_estimate" (a
            classifier stands for a divergence: not a bound) or "not_available".
    """

    visible: str
    latent: str
    decoder: str
    posterior: str
    bound: str


class GenerativeModel(keras.Model):
    """Base of every model of the zoo.

    Subclasses state, as class attributes, `players`, `matching`, `terms` (the names of the report),
    `likelihoods` and `posteriors` (what they accept, their default first), `options` (their own
    settings with defaults) and `learning_rates` (one default per player). A model whose critic is
    updated several times per step names it in `repeated_players` and has the option
    `critic_updates`.

    Args:
        config: the model's settings; those left at None take the model's defaults.
        image_shape: `(H, W, C)`.

    Raises:
        UsageError: a setting does not apply to this model.
    """

    players: tuple[str, ...] = ()
    repeated_players: tuple[str, ...] = ()
    critic_batch_norm = True
    has_elbo = True
    matching: Matching
    terms: tuple[str, ...] = ()
    likelihoods: tuple[str, ...] = ()
    posteriors: tuple[str, ...] = ()
    options: Mapping[str, Any] = {}
    learning_rates: Mapping[str, float] = {}

    def __init__(self, config: ModelConfig, image_shape: tuple[int, int, int], **kwargs: Any):
        super().__init__(name=config.model, **kwargs)
        self.image_shape = tuple(image_shape)
        self.config = self.resolve(config, self.image_shape)
        self.latent_size = self.config.latent_size
        for option in self.options:
            setattr(self, option, getattr(self.config, option))
        self._build_networks()
        self._build_bookkeeping()
        self.built = True

    # ---- Settings ------------------------------------------------------------------------------

    @classmethod
    def resolve(cls, config: ModelConfig, image_shape: tuple[int, int, int]) -> ModelConfig:
        """`config` with every None that this model has a default for filled in.

        Raises:
            UsageError: a setting does not apply to this model.
        """
        family = networks.family(image_shape)
        defaults = {"latent_size": family.DEFAULT_LATENT_SIZE, **cls.options}
        general = {"model", "width", "latent_size"}
        for name, accepted in (("likelihood", cls.likelihoods), ("posterior", cls.posteriors)):
            general.add(name)
            value = getattr(config, name)
            if accepted:
                defaults[name] = accepted[0]
            if value is not None and value not in accepted:
                expected = "one of " + ", ".join(accepted) if accepted else f"no {name} at all"
                raise UsageError(
                    f"{config.model} does not take {name}={value}: expected {expected}"
                )
        filled = {}
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if value is None:
                filled[field.name] = defaults.get(field.name)
            elif field.name not in general and field.name not in cls.options:
                own = ", ".join(sorted(cls.options)) or "none"
                raise UsageError(
                    f"{config.model} has no option {field.name} (given {value!r}); it has: {own}"
                )
        return dataclasses.replace(config, **filled)

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        return {"config": dataclasses.asdict(self.config), "image_shape": list(self.image_shape)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GenerativeModel:
        """The inverse of `get_config`."""
        return cls(ModelConfig(**config["config"]), tuple(config["image_shape"]))

    # ---- Networks ------------------------------------------------------------------------------

    def _build_networks(self) -> None:
        """One network per player, all from the architecture family of the data set."""
        family, shape = networks.family(self.image_shape), self.image_shape
        size, width = self.latent_size, self.config.width
        self.observation = self._make_observation()
        channels = self.observation.output_channels(shape[2])
        builders = {
            "encoder": lambda: Encoder(family.encoder_trunk(shape, width), self._posterior_head()),
            "decoder": lambda: family.decoder(size, shape, channels, width),
            "image_critic": lambda: ImageCritic(family, shape, width, self.critic_batch_norm),
            "code_critic": lambda: CodeCritic(size, width),
            "joint_critic": lambda: JointCritic(family, shape, size, width),
        }
        for player in self.players:
            setattr(self, player, builders[player]())

    def _make_observation(self) -> Likelihood:
        """What the decoder's outputs mean."""
        name = self.config.likelihood
        if name == "quantized_normal":
            return QuantizedNormal(self.config.dequantization)
        return LIKELIHOODS[name]() if name else Generated()

    def _posterior_head(self) -> keras.layers.Layer:
        if self.config.posterior == "real_nvp":
            return RealNVPHead(self.latent_size, context=self.config.flow_context)
        return POSTERIORS[self.config.posterior](self.latent_size)

    def player_variables(self, player: str) -> list[keras.Variable]:
        """The trainable variables that this player's loss moves, and no other's."""
        return getattr(self, player).trainable_variables

    # ---- Distributions and the tensors of the signatures ---------------------------------------

    def prior(self) -> Any:
        """p(z) = N(0, I), event shape `[D]`."""
        return prior(self.latent_size)

    def posterior(self, images: tf.Tensor, training: bool = False) -> Any:
        """q(z|x) of images `[N, H, W, C]`, event shape `[D]`."""
        return self.encoder.posterior(images, training=training)

    def likelihood(self, z: tf.Tensor, training: bool = False) -> Any:
        """p(x|z) of codes `[N, D]`, event shape `[H, W, C]`."""
        return self.observation.distribution(self.decoder(z, training=training))

    def generate(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The images `[N, H, W, C]` that codes decode to."""
        return self.observation.parameters(self.decoder(z, training=training))["images"]

    @property
    def posterior_noise_size(self) -> int:
        """Standard normals that one draw of q(z|x) takes."""
        return self.encoder.head.noise_size

    def decode(self, z: tf.Tensor) -> dict[str, tf.Tensor]:
        """The mean of p(x|z) as `images [N, H, W, C]`, and the likelihood's other parameters."""
        return self.observation.parameters(self.decoder(z, training=False))

    def encode(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """The point code `z [N, D]`; `mean` and `stddev` where the posterior has them."""
        q = self.posterior(images)
        return {"z": q.point(), **q.moments()}

    def draw_posterior(self, q: Any, noise: Noise) -> tf.Tensor:
        """One reparameterised draw `[N, D]` of the posterior `q`."""
        return q.reparameterize(noise.normal("posterior", (self.posterior_noise_size,)))

    def sample_posterior(self, images: tf.Tensor, noise: Noise) -> dict[str, tf.Tensor]:
        """`z [N, D]`, a draw of q(z|x)."""
        return {"z": self.draw_posterior(self.posterior(images), noise)}

    def sample(self, noise: Noise) -> dict[str, tf.Tensor]:
        """`z` from the prior and the `images` it decodes to."""
        z = noise.normal("prior", (self.latent_size,))
        return {"images": self.decode(z)["images"], "z": z}

    def elbo(self, images: tf.Tensor, noise: Noise) -> dict[str, tf.Tensor]:
        """The bound `[N]` and its parts, `log_likelihood` and `kl`, nats, from one draw of q(z|x).

        The bound is called `elbo`, or `elbo_ratio_estimate` where a critic stands for its
        divergence.
        """
        q = self.posterior(images)
        z = self.draw_posterior(q, noise)
        log_likelihood = self.observation.log_prob(self.decoder(z, training=False), images)
        ratio = self.bound_status == "ratio_estimate"
        kl = self.kl_ratio_estimate(images, z, noise) if ratio else q.kl(z)
        name = "elbo_ratio_estimate" if ratio else "elbo"
        return {name: log_likelihood - kl, "log_likelihood": log_likelihood, "kl": kl}

    def kl_ratio_estimate(self, images: tf.Tensor, z: tf.Tensor, noise: Noise) -> tf.Tensor:
        """What a critic estimates in the place of the KL at the draw `z` of q(z|x) `[N]`, nats."""
        raise NotImplementedError

    @property
    def bound_status(self) -> str:
        """The status of this configuration's bound; see `Matching.bound`."""
        return self.matching.bound

    @property
    def available_signatures(self) -> tuple[str, ...]:
        """The signatures of the export that this model can honour."""
        if "encoder" not in self.players:
            return ("decode", "sample")
        names = ("decode", "encode", "sample_posterior", "sample")
        bounded = self.has_elbo and self.bound_status != "not_available"
        return (*names, "elbo") if bounded else names

    # ---- Training ------------------------------------------------------------------------------

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The equations of the model.

        Args:
            images: `[N, H, W, C]` in [0, 1].
            noise: where all randomness comes from.
            training: False evaluates the same terms without touching batch statistics.

        Returns:
            One scalar loss per player, and the per-example `[N]` report `terms`.
        """
        raise NotImplementedError

    def _build_bookkeeping(self) -> None:
        """The step counter, the record of faults and the trackers of the metrics."""
        self.optimizers = {}  # by player, once compiled
        self.step = self.add_weight(
            name="step",
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.checks = tuple(f"{kind} of {p}" for p in self.players for kind in ("loss", "gradient"))
        self.checks += tuple(f"term {t}" for t in self.terms)
        # Step of the first non-finite value of each check; 0 while there is none.
        self.faults = self.add_weight(
            name="faults",
            shape=(len(self.checks),),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        names = [f"{player}_loss" for player in self.players] + list(self.terms)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}

    def compile(
        self,
        learning_rate: Mapping[str, float] | None = None,
        seed: int = 0,
        jit_compile: bool = False,
        steps_per_execution: int = 1,
    ) -> None:
        """Gives each player its Adam (beta 0.5 and 0.9 [P], epsilon 1e-8 chosen), built on its
        variables.

        Call it inside the strategy's scope.

        Args:
            learning_rate: rates by player, or one for all under "all"; the model's own for the
            rest. seed: the run seed, from which all noise follows. jit_compile: compile the train
            step with XLA. steps_per_execution: steps per call of the compiled function.

        Raises:
            UsageError: a rate for a player that this model does not have.
        """
        rates = self.resolve_learning_rate(learning_rate or {})
        super().compile(
            optimizer=None, jit_compile=jit_compile, steps_per_execution=steps_per_execution
        )
        self.seed = seed
        for player in self.players:
            optimizer = keras.optimizers.Adam(rates[player], beta_1=0.5, beta_2=0.9, epsilon=1e-8)
            # Slots made inside the traced step would fail under a strategy, and a restored
            # checkpoint would find nowhere to put its own.
            optimizer.build(self.player_variables(player))
            self.optimizers[player] = optimizer

    @classmethod
    def resolve_learning_rate(cls, rates: Mapping[str, float]) -> dict[str, float]:
        """One rate per player; raises `UsageError` for a player that this model does not have."""
        unknown = set(rates) - set(cls.players) - {ALL_PLAYERS}
        if unknown:
            raise UsageError(
                f"learning_rate names the player {sorted(unknown)[0]!r}: "
                f"expected {', '.join(cls.players)}"
            )
        everyone = rates.get(ALL_PLAYERS)
        return {p: rates.get(p, everyone or cls.learning_rates[p]) for p in cls.players}

    @property
    def passes(self) -> int:
        """Fresh batches per step: one, or as many as the critic has updates."""
        return self.critic_updates if self.repeated_players else 1

    def train_step(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update of every player, `repeated_players` several.

        Args:
            images: `[N, H, W, C]` in [0, 1]; with several passes `[N, passes, H, W, C]`.
        """
        self.step.assign_add(1)
        for i in range(self.passes - 1):
            self._update(images[:, i], self.repeated_players, i)
        last = self.passes - 1
        return self._update(images[:, last] if last else images, self.players, last)

    def _update(
        self, images: tf.Tensor, players: tuple[str, ...], index: int
    ) -> dict[str, tf.Tensor]:
        """One update of `players` from one forward pass, the `index`-th of this step."""
        draw = self.step.value * self.passes + index
        noise = step_noise(self.seed, draw, _rows(images))
        with tf.GradientTape(persistent=True) as tape:
            losses, report = self.losses(images, noise, training=True)
            # Gradients are summed over replicas. Players that share a loss keep sharing it.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            shares = {id(loss): loss / replicas for loss in losses.values()}
            scaled = {player: shares[id(losses[player])] for player in players}
        gradients = self._player_gradients(tape, scaled)
        self._record_faults(losses, gradients, report)
        for player in players:
            self.optimizers[player].apply(gradients[player], self.player_variables(player))
        return self._track(losses, report)

    def test_step(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """The losses and terms of the current step's noise, in inference mode."""
        noise = step_noise(self.seed, self.step.value, _rows(images))
        return self._track(*self.losses(images, noise, training=False))

    def _player_gradients(
        self, tape: tf.GradientTape, losses: Mapping[str, tf.Tensor]
    ) -> dict[str, list[tf.Tensor]]:
        """Each player's gradient of its own loss; players that share a loss share a backward
        pass."""
        gradients = {}
        for key in dict.fromkeys(map(id, losses.values())):
            sharing = [player for player, loss in losses.items() if id(loss) == key]
            variables = {p: [v.value for v in self.player_variables(p)] for p in sharing}
            gradients |= tape.gradient(losses[sharing[0]], variables)
        return gradients

    def _record_faults(self, losses: Any, gradients: Any, report: Any) -> None:
        """Remembers the step of the first non-finite value of each check."""
        sums = []
        for player in self.players:
            # A sum is finite exactly where all its terms are, short of overflow.
            moved = gradients.get(player, ())
            sums += [losses[player], tf.add_n([tf.reduce_sum(g) for g in moved] or [0.0])]
        sums += [tf.reduce_sum(report[term]) for term in self.terms]
        bad = tf.cast(~tf.math.is_finite(tf.stack(sums)), tf.int64)
        bad = tf.distribute.get_replica_context().all_reduce("sum", bad)
        first = (self.faults.value == 0) & (bad > 0)
        self.faults.assign(tf.where(first, self.step.value, self.faults.value))

    def _track(self, losses: Any, report: Any) -> dict[str, tf.Tensor]:
        if set(report) != set(self.terms) or set(losses) != set(self.players):
            raise ValueError(
                f"{self.name}.losses returned {sorted(losses)} and {sorted(report)}; "
                f"it declares {sorted(self.players)} and {sorted(self.terms)}"
            )
        for player, loss in losses.items():
            self.trackers[f"{player}_loss"].update_state(loss)
        for term, values in report.items():
            self.trackers[term].update_state(values)
        # Keras's trainer reduces the results over workers along their first axis, which a scalar
        # does not have (keras-team/keras#20585).
        multi_worker = isinstance(
            tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy
        )
        return {
            n: t.result()[None] if multi_worker else t.result() for n, t in self.trackers.items()
        }


def _rows(images: tf.Tensor) -> int | tf.Tensor:
    """The batch size: static where it is known, which XLA on a TPU needs."""
    return images.shape[0] or tf.shape(images)[0]
