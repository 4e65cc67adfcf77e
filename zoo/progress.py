"""Progress bars on stderr, which TQDM_DISABLE=1 takes away."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


def progress_bar(shown: bool = True, **settings: Any) -> tqdm:
    """A bar, or what counts in its place and shows nothing.

    Args:
        shown: whether there is anything to show. `disable=False` would say it to tqdm and overrule
            the user's environment.
        **settings: those of tqdm.
    """
    return tqdm(**settings) if shown else tqdm(**settings, disable=True)
