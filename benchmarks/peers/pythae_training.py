"""Training by pythae's own trainer, on the same networks."""

from __future__ import annotations

import logging
import tempfile
import time
from typing import Any

import numpy as np
import torch
from pythae.data.datasets import DatasetOutput
from pythae.models import VAE, Adversarial_AE, Adversarial_AE_Config, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.trainers import (
    AdversarialTrainer,
    AdversarialTrainerConfig,
    BaseTrainer,
    BaseTrainerConfig,
)
from pythae.trainers.training_callbacks import TrainingCallback
from torch import nn

from benchmarks.peers import plain_torch
from benchmarks.peers.specification import Specification


class _Encoder(BaseEncoder):
    def __init__(self, spec: Specification):
        super().__init__()
        self.net, self.latent_dim = (
            plain_torch.encoder(spec, 2 * spec.latent_size),
            spec.latent_size,
        )

    def forward(self, x: torch.Tensor) -> ModelOutput:
        mean, log_stddev = self.net(2 * x - 1).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=2 * log_stddev)


class _Decoder(BaseDecoder):
    def __init__(self, spec: Specification):
        super().__init__()
        self.net = plain_torch.decoder(spec)

    def forward(self, z: torch.Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.net(z)))


class _Discriminator(BaseDiscriminator):
    def __init__(self, spec: Specification):
        super().__init__()
        self.net = nn.Sequential(plain_torch.code_critic(spec), nn.Sigmoid())

    def forward(self, z: torch.Tensor, output_layer_levels: Any = None) -> ModelOutput:
        return ModelOutput(embedding=self.net(z))


class _Stopwatch(TrainingCallback):
    def __init__(self):
        self.times = []

    def on_train_step_end(self, training_config: Any, **kwargs: Any) -> None:
        self.times.append(time.perf_counter())


def seconds_per_step(model: str, spec: Specification, images: np.ndarray, batch_size: int) -> float:
    """One epoch over images `[N, H, W, C]` in [0, 1]; the first two steps are left out."""
    logging.disable(logging.INFO)
    shape = (3, spec.side, spec.side)
    common = {"input_dim": shape, "latent_dim": spec.latent_size}
    parts = {"encoder": _Encoder(spec), "decoder": _Decoder(spec)}
    settings = {
        "num_epochs": 1,
        "per_device_train_batch_size": batch_size,
        "optimizer_params": {"betas": (0.5, 0.9)},
        "no_cuda": True,
    }
    data = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    stopwatch = _Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        if model == "vae":
            built = VAE(VAEConfig(reconstruction_loss="bce", **common), **parts)
            config = BaseTrainerConfig(
                output_dir=folder, optimizer_cls="Adam", learning_rate=5e-4, **settings
            )
            trainer = BaseTrainer
        else:
            config_cls = Adversarial_AE_Config(reconstruction_loss="bce", **common)
            built = Adversarial_AE(config_cls, discriminator=_Discriminator(spec), **parts)
            adam = settings.pop("optimizer_params")
            config = AdversarialTrainerConfig(
                output_dir=folder,
                autoencoder_optimizer_cls="Adam",
                autoencoder_optimizer_params=adam,
                discriminator_optimizer_cls="Adam",
                discriminator_optimizer_params=adam,
                **settings,
            )
            trainer = AdversarialTrainer
        trainer(
            model=built,
            train_dataset=_Rows(data),
            training_config=config,
            callbacks=[stopwatch],
        ).train()
    times = stopwatch.times
    return (times[-1] - times[1]) / (len(times) - 2)


class _Rows(torch.utils.data.Dataset):
    def __init__(self, data: torch.Tensor):
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        return DatasetOutput(data=self.data[index])
