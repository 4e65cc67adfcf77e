"""Steps as one writes them by hand in TensorFlow: plain Keras layers, one tape an update."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

from benchmarks.peers.specification import Specification


def _adam(rate: float, variables: list) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9, epsilon=1e-8)
    optimizer.build(variables)
    return optimizer


def encoder(spec: Specification, outputs: int) -> keras.Sequential:
    """Images -> `outputs` numbers."""
    stack = [keras.Input((spec.side, spec.side, 3)), layers.Rescaling(2.0, offset=-1.0)]
    for maps, kernel, strides in spec.encoder:
        stack.append(layers.Conv2D(maps, kernel, strides, padding="same", use_bias=False))
        stack += [layers.BatchNormalization(momentum=0.9, epsilon=1e-5), layers.ReLU()]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(outputs, use_bias=False)])


def decoder(spec: Specification) -> keras.Sequential:
    """Codes -> logits of pixels."""
    side, maps = spec.start
    stack = [keras.Input((spec.latent_size,)), layers.Dense(side * side * maps, use_bias=False)]
    stack.append(layers.Reshape((side, side, maps)))
    for m, kernel, strides in spec.decoder:
        stack += [layers.BatchNormalization(momentum=0.9, epsilon=1e-5), layers.ReLU()]
        stack.append(layers.Conv2DTranspose(m, kernel, strides, padding="same", use_bias=False))
    return keras.Sequential(stack)


def image_critic(spec: Specification, batch_norm: bool) -> keras.Sequential:
    """Images -> one logit."""
    stack = [keras.Input((spec.side, spec.side, 3)), layers.Rescaling(2.0, offset=-1.0)]
    for i, (maps, kernel, strides) in enumerate(spec.critic):
        stack.append(layers.Conv2D(maps, kernel, strides, padding="same", use_bias=False))
        if batch_norm and i:
            stack.append(layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
        stack.append(layers.LeakyReLU(negative_slope=0.2))
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(1, use_bias=False)])


def vae_step(spec: Specification) -> Callable[[tf.Tensor], tf.Tensor]:
    """A VAE step with a Gaussian posterior and Bernoulli pixels: one tape, one optimiser."""
    enc, dec = encoder(spec, 2 * spec.latent_size), decoder(spec)
    variables = enc.trainable_variables + dec.trainable_variables
    optimizer = _adam(5e-4, variables)

    @tf.function
    def step(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            mean, log_stddev = tf.split(enc(images, training=True), 2, axis=-1)
            z = mean + tf.exp(log_stddev) * tf.random.normal(tf.shape(mean))
            logits = dec(z, training=True)
            cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(images, logits)
            kl = 0.5 * (mean**2 + tf.exp(2 * log_stddev) - 1 - 2 * log_stddev)
            loss = tf.reduce_mean(tf.reduce_sum(cross_entropy, [1, 2, 3]) + tf.reduce_sum(kl, 1))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step


def dcgan_step(spec: Specification) -> Callable[[tf.Tensor], tf.Tensor]:
    """The form of Keras's DCGAN guide: the critic on real and fake images joined, then the decoder
    on new codes."""
    dec, critic = decoder(spec), image_critic(spec, batch_norm=True)
    dec_optimizer = _adam(2e-4, dec.trainable_variables)
    critic_optimizer = _adam(2e-4, critic.trainable_variables)
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(images: tf.Tensor) -> tf.Tensor:
        rows = images.shape[0]
        fakes = tf.sigmoid(dec(tf.random.normal([rows, spec.latent_size]), training=True))
        labels = tf.concat([tf.ones([rows, 1]), tf.zeros([rows, 1])], 0)
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, critic(tf.concat([images, fakes], 0), training=True))
        gradients = tape.gradient(loss, critic.trainable_variables)
        critic_optimizer.apply(gradients, critic.trainable_variables)
        with tf.GradientTape() as tape:
            fakes = tf.sigmoid(dec(tf.random.normal([rows, spec.latent_size]), training=True))
            loss = cross_entropy(tf.ones([rows, 1]), critic(fakes, training=True))
        gradients = tape.gradient(loss, dec.trainable_variables)
        dec_optimizer.apply(gradients, dec.trainable_variables)
        return loss

    return step


def wgan_gp_step(spec: Specification, critic_updates: int = 5) -> Callable[[tf.Tensor], tf.Tensor]:
    """The form of Keras's WGAN-GP guide: several critic updates with a tape each, then the decoder;
    on `[N, critic_updates, H, W, C]`, a fresh batch for each."""
    dec, critic = decoder(spec), image_critic(spec, batch_norm=False)
    dec_optimizer = _adam(1e-4, dec.trainable_variables)
    critic_optimizer = _adam(1e-4, critic.trainable_variables)

    def penalty(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        between = real + tf.random.uniform([real.shape[0], 1, 1, 1]) * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            values = critic(between, training=True)
        norm = tf.sqrt(tf.reduce_sum(tape.gradient(values, between) ** 2, [1, 2, 3]) + 1e-12)
        return tf.reduce_mean((norm - 1.0) ** 2)

    @tf.function
    def step(images: tf.Tensor) -> tf.Tensor:
        rows = images.shape[0]
        for i in range(critic_updates):
            real = images[:, i]
            with tf.GradientTape() as tape:
                fake = tf.sigmoid(dec(tf.random.normal([rows, spec.latent_size]), training=True))
                gap = tf.reduce_mean(critic(fake, training=True) - critic(real, training=True))
                loss = gap + 10.0 * penalty(real, fake)
            gradients = tape.gradient(loss, critic.trainable_variables)
            critic_optimizer.apply(gradients, critic.trainable_variables)
        with tf.GradientTape() as tape:
            fake = tf.sigmoid(dec(tf.random.normal([rows, spec.latent_size]), training=True))
            loss = -tf.reduce_mean(critic(fake, training=True))
        gradients = tape.gradient(loss, dec.trainable_variables)
        dec_optimizer.apply(gradients, dec.trainable_variables)
        return loss

    return step
