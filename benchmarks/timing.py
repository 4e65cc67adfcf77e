"""Interleaved timing: A B A B ..., one ratio per pair, so that a drift of the machine cancels."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One row of the results.

    Attributes:
        what: the thing measured.
        against: its peer.
        pairs: what was measured of both, one pair per repeat, in the order they were taken.
        target: what the ratio should be, as text; "-" for none.
        speedup: show the peer's time over the thing's (more is better), not the inverse.
        unit: of the pairs, "s" or "MB".
    """

    what: str
    against: str
    pairs: tuple[tuple[float, float], ...]
    target: str
    speedup: bool = False
    unit: str = "s"

    @property
    def ratios(self) -> list[float]:
        """One per pair."""
        return [b / a if self.speedup else a / b for a, b in self.pairs]

    def cells(self) -> tuple[str, ...]:
        """What, against, median ratio, smallest to largest ratio, target, repeats."""
        show = _duration if self.unit == "s" else f"{{:.4g}} {self.unit}".format
        ours, theirs = (show(statistics.median(t)) for t in zip(*self.pairs, strict=True))
        ratios = self.ratios
        return (
            f"{self.what} ({ours})",
            f"{self.against} ({theirs})",
            f"{statistics.median(ratios):.3g}",
            f"{min(ratios):.3g} to {max(ratios):.3g}",
            self.target,
            str(len(ratios)),
        )


def interleaved(
    measure_a: Callable[[], float],
    measure_b: Callable[[], float],
    repeats: int,
    warm: bool = False,
) -> tuple[tuple[float, float], ...]:
    """`repeats` pairs of what the two functions measure, seconds.

    Unless both are `warm`, an unmeasured pair goes first: it takes tracing, first allocations and
    cold caches out of the figures.
    """
    if not warm:
        measure_a(), measure_b()
    return tuple((measure_a(), measure_b()) for _ in range(repeats))


def seconds(call: Callable[[], object], calls: int = 1) -> float:
    """Mean seconds of one of `calls` calls in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def _duration(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"
