"""Steps as one writes them by hand in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.peers.specification import Specification


class _Same(nn.Module):
    """Pads as TensorFlow's "same" does, then convolves."""

    def __init__(self, inputs: int, maps: int, kernel: int, strides: int):
        super().__init__()
        self.kernel, self.strides = kernel, strides
        self.conv = nn.Conv2d(inputs, maps, kernel, strides, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-1]
        total = max((-(-size // self.strides) - 1) * self.strides + self.kernel - size, 0)
        if total % 2 == 0:
            return F.conv2d(x, self.conv.weight, stride=self.strides, padding=total // 2)
        pad = (total // 2, total - total // 2)
        return self.conv(F.pad(x, (*pad, *pad)))


def _up(inputs: int, maps: int, kernel: int, strides: int) -> nn.Module:
    padding = (kernel - strides + 1) // 2
    extra = 2 * padding + strides - kernel
    return nn.ConvTranspose2d(inputs, maps, kernel, strides, padding, extra, bias=False)


def encoder(spec: Specification, outputs: int) -> nn.Module:
    """Images -> `outputs` numbers."""
    stack, channels = [], 3
    for maps, kernel, strides in spec.encoder:
        stack += [_Same(channels, maps, kernel, strides), nn.BatchNorm2d(maps), nn.ReLU()]
        channels = maps
    head = nn.Linear(spec.features(spec.encoder), outputs, bias=False)
    return nn.Sequential(*stack, nn.Flatten(), head)


def decoder(spec: Specification) -> nn.Module:
    """Codes -> logits of pixels."""
    side, channels = spec.start
    stack = [nn.Linear(spec.latent_size, side * side * channels, bias=False)]
    stack.append(nn.Unflatten(1, (channels, side, side)))
    for maps, kernel, strides in spec.decoder:
        stack += [nn.BatchNorm2d(channels), nn.ReLU(), _up(channels, maps, kernel, strides)]
        channels = maps
    return nn.Sequential(*stack)


def image_critic(spec: Specification) -> nn.Module:
    """Images -> one logit."""
    stack, channels = [], 3
    for i, (maps, kernel, strides) in enumerate(spec.critic):
        stack.append(_Same(channels, maps, kernel, strides))
        stack += [nn.BatchNorm2d(maps)] if i else []
        stack.append(nn.LeakyReLU(0.2))
        channels = maps
    head = nn.Linear(spec.features(spec.critic), 1, bias=False)
    return nn.Sequential(*stack, nn.Flatten(), head)


def code_critic(spec: Specification) -> nn.Module:
    """Codes -> one logit."""
    stack, size = [], spec.latent_size
    for _ in range(3):
        stack += [nn.Linear(size, 1000), nn.LeakyReLU(0.2)]
        size = 1000
    return nn.Sequential(*stack, nn.Linear(size, 1))


def _adam(rate: float, *modules: nn.Module) -> torch.optim.Optimizer:
    parameters = [p for module in modules for p in module.parameters()]
    return torch.optim.Adam(parameters, rate, betas=(0.5, 0.9), eps=1e-8)


def vae_step(spec: Specification, compiled: bool = False) -> Callable[[torch.Tensor], Any]:
    """A VAE step with a Gaussian posterior and Bernoulli pixels; eager, or its loss and gradient by
    `torch.compile`."""
    enc, dec = encoder(spec, 2 * spec.latent_size), decoder(spec)
    optimizer = _adam(5e-4, enc, dec)

    def loss_of(images: torch.Tensor) -> torch.Tensor:
        mean, log_stddev = enc(2 * images - 1).chunk(2, dim=1)
        z = mean + log_stddev.exp() * torch.randn_like(mean)
        cross_entropy = F.binary_cross_entropy_with_logits(dec(z), images, reduction="sum")
        kl = 0.5 * (mean**2 + (2 * log_stddev).exp() - 1 - 2 * log_stddev).sum()
        return (cross_entropy + kl) / len(images)

    loss_of = torch.compile(loss_of) if compiled else loss_of

    def step(images: torch.Tensor) -> torch.Tensor:
        loss = loss_of(images)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def alpha_gan_step(spec: Specification, weight: float = 10.0) -> Callable[[torch.Tensor], Any]:
    """VGH++ by alternating updates, in the manner of the public alpha-GAN code: each update does
    the forward work that it needs."""
    enc, dec = encoder(spec, spec.latent_size), decoder(spec)
    critic, codes = image_critic(spec), code_critic(spec)
    optimizers = [_adam(r, m) for r, m in ((5e-4, enc), (5e-4, dec), (2e-4, critic), (2e-4, codes))]

    def update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        for other in optimizers:
            other.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def real(logit: torch.Tensor) -> torch.Tensor:
        return F.softplus(-logit).mean()

    def fake(logit: torch.Tensor) -> torch.Tensor:
        return F.softplus(logit).mean()

    def generate(z: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(dec(z))

    def judge(images: torch.Tensor) -> torch.Tensor:
        return critic(2 * images - 1)

    def step(images: torch.Tensor) -> torch.Tensor:
        z = torch.randn(len(images), spec.latent_size)
        z_hat = enc(2 * images - 1)
        distance = F.l1_loss(generate(z_hat), images)
        update(optimizers[0], weight * distance + real(codes(z_hat)))
        z_hat = enc(2 * images - 1).detach()
        rebuilt, samples = generate(z_hat), generate(z)
        adversarial = real(judge(rebuilt)) + real(judge(samples))
        update(optimizers[1], weight * F.l1_loss(rebuilt, images) + adversarial)
        with torch.no_grad():
            rebuilt, samples = generate(z_hat), generate(z)
        unmask = fake(judge(rebuilt)) + fake(judge(samples))
        update(optimizers[2], 2 * real(judge(images)) + unmask)
        update(optimizers[3], real(codes(z)) + fake(codes(z_hat)))
        return distance.detach()

    return step
