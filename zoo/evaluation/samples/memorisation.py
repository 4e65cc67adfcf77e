"""Memorisation: do samples lie nearer to training images than images that no model has seen?

Distances are those of the first 50 principal components of pixels: in all pixels, noise hides a
copy. Of each sample and of each held-out image three numbers are small for a copy:

- `distance`, to the nearest training image,
- `ratio`, of that distance to the mean of those to the second to sixth nearest: a blurred or noisy
  copy is no nearer than others are, but it is near to one image alone,
- `shift`, the smallest distance of the image moved by up to a pixel.

The tests are exact where samples and held-out images are exchangeable, whatever their law.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from zoo.config import SPLITS, EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric, Picture, few
from zoo.evaluation.samples.copies import (
    PooledLabels,
    c_t,
    copied_share,
    left_tail,
    one_thread,
    pooled_labels,
)
from zoo.evaluation.samples.reconstruction import reconstruct
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.pictures import side_by_side
from zoo.pixels import as_floats, as_levels
from zoo.records import Record

MOST = 10_000  # samples and held-out images; chosen
LEAST = 20  # of both; chosen
COMPONENTS, FITTED = 50, 5000  # of pixels, and images they are fitted to at most; chosen
NEIGHBOURS = 6  # the nearest, and those that its distance is measured by; chosen
CELLS = 8  # of k-means; chosen
ALARM = 0.05

_SHIFTS = [(0, 0)] + [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_SCORES = ("distance", "ratio", "shift")
_HELD_OUT = tuple(split for split in SPLITS if split != "train")
_BLOCK = 1000  # images read at a time
_SHOWN = 16


@dataclasses.dataclass(frozen=True)
class Side:
    """What is asked of the images of one side.

    Attributes:
        codes: `[n, K]`.
        scores: `distance`, `ratio` and `shift` `[n]`, in units of a pixel's range but for `ratio`.
        nearest: the training image of `shift` `[n]`.
    """

    codes: np.ndarray
    scores: Mapping[str, np.ndarray]
    nearest: np.ndarray


class TrainingImages:
    """Training images as principal components, and distances to them.

    Args:
        images: uint8 `[N, H, W, C]`; may be a memory map, of which a block is read at a time.
        seed: of the images that components and cells are fitted to.
    """

    @one_thread
    def __init__(self, images: np.ndarray, seed: int):
        rng = np.random.default_rng(seed)
        some = as_floats(images[np.sort(rng.permutation(len(images))[:FITTED])])
        size = min(COMPONENTS, some[0].size, len(some))
        self._components = PCA(size, svd_solver="randomized", random_state=seed)
        self._components.fit(some.reshape(len(some), -1))
        self.codes = np.concatenate([self._encode(block)[0] for block in blocks(images)])
        self._index = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(self.codes)
        self._cells = MiniBatchKMeans(CELLS, n_init=3, random_state=seed).fit(self.codes)

    def _encode(
        self, images: np.ndarray, shifts: Iterable[tuple[int, int]] = _SHIFTS[:1]
    ) -> np.ndarray:
        """Of images `[B, H, W, C]` in [0, 1] moved by each of the shifts: `[S, B, K]`."""
        height, width = images.shape[1:3]
        padded = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        moved = (padded[:, 1 + y :, 1 + x :][:, :height, :width] for y, x in shifts)
        return np.stack([self._components.transform(m.reshape(len(m), -1)) for m in moved])

    @one_thread
    def side(self, batches: Iterable[np.ndarray]) -> Side:
        """The scores of images that come in batches `[B, H, W, C]` in [0, 1]."""
        codes = np.concatenate([self._encode(batch, _SHIFTS) for batch in batches], axis=1)
        distances, index = self._index.kneighbors(codes[0])
        others = distances[:, 1:].mean(axis=1)
        # Where all six are the same image none stands out.
        ratio = np.divide(distances[:, 0], others, out=np.ones(len(others)), where=others > 0)
        shift, nearest = distances[:, 0].copy(), index[:, 0].copy()
        for moved in codes[1:]:
            found, place = (side[:, 0] for side in self._index.kneighbors(moved, n_neighbors=1))
            nearest[found < shift] = place[found < shift]
            shift = np.minimum(shift, found)
        return Side(
            codes[0], dict(zip(_SCORES, (distances[:, 0], ratio, shift), strict=True)), nearest
        )

    @one_thread
    def cells(self, side: Side) -> np.ndarray:
        """The cell of each image `[n]`."""
        return self._cells.predict(side.codes)


@dataclasses.dataclass(frozen=True)
class Audit:
    """What the tests say of one side; all but `c_t` and `share` are p values."""

    p_value: float  # of all tests together
    tails: Mapping[str, float]
    pooled: PooledLabels
    c_t: float
    share: tuple[float, float]

    @classmethod
    def of(cls, train: TrainingImages, held_out: Side, side: Side, seed: int) -> Audit:
        """Of a side beside the held-out images; Bonferroni's over its four tests, of which `c_t` is
        none: it takes blur for copying."""
        tails = {
            name: left_tail(side.scores[name], held_out.scores[name], seed) for name in _SCORES
        }
        pooled = pooled_labels(train.codes, held_out.codes, side.codes)
        tests = [*tails.values(), pooled.p_value]
        return cls(
            min(1.0, len(tests) * min(tests)),
            tails,
            pooled,
            c_t(
                side.scores["distance"],
                held_out.scores["distance"],
                (train.cells(side), train.cells(held_out)),
            ),
            copied_share(side.scores["shift"], held_out.scores["shift"]),
        )

    def summary(self) -> dict[str, float]:
        """The p value of each test."""
        return {**self.tails, "pooled": self.pooled.p_value}


def blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Images in [0, 1], a block at a time."""
    for start in range(0, len(images), _BLOCK):
        yield as_floats(images[start : start + _BLOCK])


class Memorisation(Metric):
    """Tests of samples for copies of training images, with both controls."""

    name = "memorisation"
    needs = ("sample",)
    uses = ("split", "num_samples", "seed")
    revision = 2

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; it takes training images, held-out ones and samples."""
        super().check(subject, dataset, settings)
        if settings.split == "train":
            raise UsageError(
                "split='train' has no images that training has not seen, which memorisation "
                f"compares with: expected {' or '.join(_HELD_OUT)}"
            )
        sizes = [len(dataset.split(name)) for name in ("train", settings.split)]
        least = min(*sizes, subject.at_most(settings.count(MOST)))
        if least < LEAST:
            raise UsageError(
                f"too few for memorisation, {least} training images, {settings.split} images or "
                f"samples: expected at least {LEAST} of each"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields what the tests say of other held-out images, of samples, and of reconstructions of
        training images; how small the three numbers get, and the samples nearest to training
        images."""
        rng, seed, split = np.random.default_rng(settings.seed), settings.seed, settings.split
        images = dataset.split("train").images
        train = TrainingImages(images, seed)

        def some(of: np.ndarray, count: int) -> np.ndarray:
            return of[np.sort(rng.permutation(len(of))[:count])]

        def unseen(name: str) -> Side:
            held_out = dataset.split(name).images
            return train.side(blocks(some(held_out, settings.count(MOST, len(held_out)))))

        held_out = unseen(split)
        n = subject.at_most(len(held_out.codes))
        sides: dict[str, Side] = {}
        (other,) = (name for name in _HELD_OUT if name != split)
        if other in dataset.splits:
            sides["_data"] = unseen(other)
        levels: list[np.ndarray] = []

        def samples() -> Iterator[np.ndarray]:
            for batch in subject.batches("sample", seed=seed, count=n):
                levels.append(as_levels(batch["images"]))
                yield batch["images"]

        sides[""] = train.side(samples())
        if {"encode", "decode"} <= set(subject.functions) and subject.gives("encode", "z"):
            decoded = reconstruct(subject, some(images, n))
            sides["_reconstructions"] = train.side(again for _, again in decoded)
        audits = {e: Audit.of(train, held_out, side, seed) for e, side in sides.items()}
        for ending in sides:
            yield from self._records(audits, ending, sides[ending], held_out, images, split)
        yield Picture("tails", _CAPTION.format(split=split), _tails(sides, held_out, split))
        rows = np.argsort(sides[""].scores["shift"], kind="stable")[:_SHOWN]
        drawn = as_floats(np.concatenate(levels)[rows])
        yield Picture(
            "nearest",
            f"The {len(rows)} samples nearest to a training image, each above that image.",
            side_by_side(drawn, as_floats(images[sides[""].nearest[rows]])),
        )

    def _records(
        self,
        audits: Mapping[str, Audit],
        ending: str,
        side: Side,
        held_out: Side,
        images: np.ndarray,
        split: str,
    ) -> Iterator[Record]:
        audit, n, m = audits[ending], len(side.codes), len(held_out.codes)
        details = {"train": len(images), "held_out": m}
        what = _SIDES[ending]
        warnings = few(min(n, m), 1000, "fewer than ten copies among them are not seen")
        if ending == "":
            control = audits.get("_reconstructions")
            if control is None:
                warnings += ("no positive control: it takes encode with z, and decode",)
            elif control.p_value > ALARM:
                warnings += (
                    "reconstructions of training images pass too: copies as this model would make "
                    "them are not seen",
                )
        yield Record(
            self.name + ending,
            audit.p_value,
            None,
            n,
            split,
            f"p value of {what} being no nearer to training images than {split} images are: four "
            "times the smallest of four tests; small tells of copies",
            {**details, **audit.summary()},
            warnings=warnings,
        )
        if ending:
            return
        for name, p in audit.tails.items():
            yield Record(
                f"{self.name}_{name}",
                p,
                None,
                n,
                split,
                f"p value of the left tail of {_MEANINGS[name]}, of samples among {split} images",
                details,
            )
        needed = math.ceil(math.log(ALARM) / math.log(len(images) / (len(images) + m)))
        pooled = dataclasses.asdict(audit.pooled)
        yield Record(
            f"{self.name}_pooled",
            pooled.pop("p_value"),
            None,
            n,
            split,
            f"p value of samples being clearly nearest to {split} images as often as to training "
            "images, by their numbers",
            {**details, "held_out_neighbours": pooled.pop("held_out"), **pooled},
            warnings=few(audit.pooled.neighbours, needed, "so few neighbours decide nothing"),
        )
        yield Record(
            f"{self.name}_c_t",
            audit.c_t,
            None,
            n,
            split,
            f"C_T over {CELLS} cells, as a z-score; below 0 where samples are nearer to training "
            f"images than {split} images are",
            details,
            warnings=("blurred samples are nearer too: it tells nothing alone",),
        )
        share, error = audit.share
        yield Record(
            f"{self.name}_share",
            share,
            error or None,
            n,
            split,
            f"share of samples that are more than {split} images would be below small values of "
            f"{_MEANINGS['shift']}; about 0.005 where none is copied",
            details,
        )


_SIDES = {
    "_data": "images of another held-out split",
    "": "samples",
    "_reconstructions": "reconstructions of training images, the positive control,",
}
_MEANINGS = {
    "distance": "the distance to the nearest training image",
    "ratio": "that distance by the mean of those to the second to sixth nearest",
    "shift": "the smallest distance of the image moved by up to a pixel",
}
_CAPTION = (
    "Shares of each set below small values of the three numbers: of {split} images, of other "
    "held-out ones, of samples, and of reconstructions of training images, which have to stand out."
)


def _tails(sides: Mapping[str, Side], held_out: Side, split: str) -> Figure:
    names = {"_data": "other held-out", "": "samples", "_reconstructions": "reconstructions"}
    named = {split: held_out, **{names[ending]: side for ending, side in sides.items()}}
    figure, axes = panels(len(_SCORES))
    for axis, score in zip(axes, _SCORES, strict=True):
        for name, side in named.items():
            values = np.sort(side.scores[score])
            shares = np.arange(1, len(values) + 1) / len(values)
            axis.step(values, shares, where="post", label=name, linewidth=1.2)
        axis.set_yscale("log")
        axis.set(xlabel=score, ylabel="share below")
    axes[0].legend(fontsize=8)
    return figure
