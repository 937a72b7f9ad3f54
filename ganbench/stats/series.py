"""Series over steps: running medians, stretches of flags, autocorrelation."""

from __future__ import annotations

import numpy as np

_BLOCKS = 40  # of a window of the running median


def running_median(values: np.ndarray, window: int, history: int) -> np.ndarray:
    """For each step, the median over about `window` steps before it; NaN before `history` steps.

    Taken as the median of the medians of 40 blocks, all of them complete before the step: 100 times
    cheaper than the exact one, and a step is never compared with itself. Non-finite values are skipped.
    """
    block = max(1, window // _BLOCKS)
    count = len(values) // block
    out = np.full(len(values), np.nan)
    if count == 0:
        return out
    blocks = np.sort(values[: count * block].reshape(count, block), axis=1)[:, (block - 1) // 2]
    padded = np.concatenate([np.full(_BLOCKS - 1, np.nan), blocks])
    medians = _sorted_median(np.lib.stride_tricks.sliding_window_view(padded, _BLOCKS))
    # the last block that is complete before each step
    before = np.arange(len(values)) // block - 1
    ready = before >= max(0, -(-history // block) - 1)
    out[ready] = medians[before[ready]]
    return out


def _sorted_median(rows: np.ndarray) -> np.ndarray:
    """Lower median of each row without its NaN (numpy sorts them last); NaN where there is nothing else."""
    counts = (~np.isnan(rows)).sum(axis=1)
    middle = np.maximum(counts - 1, 0) // 2
    return np.take_along_axis(np.sort(rows, axis=1), middle[:, None], axis=1)[:, 0]


def stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(start), int(stop) - 1) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def first_stretch(flags: np.ndarray, length: int) -> tuple[int, int] | None:
    """First and last index of the first run of at least `length` true flags."""
    return next((stretch for stretch in stretches(flags) if stretch[1] - stretch[0] + 1 >= length), None)


def bridged(flags: np.ndarray, gap: int) -> np.ndarray:
    """The flags with every run of fewer than `gap` false ones between two true ones made true."""
    filled = flags.copy()
    for first, last in stretches(~flags):
        if first > 0 and last < flags.size - 1 and last - first + 1 < gap:
            filled[first : last + 1] = True
    return filled


def autocorrelation(values: np.ndarray) -> np.ndarray:
    """Autocorrelation at lags 0 to n - 1, after a straight line is taken away; each lag by its own count.

    1 at lag 0, and NaN everywhere where nothing is left beside the line.
    """
    values = np.asarray(values, dtype=np.float64)
    n = values.size
    if n == 0:
        return values
    time = np.arange(n) - (n - 1) / 2
    # values of diverging runs may be near 1e200, whose squares overflow
    scale = np.abs(values).max()
    rest = (values - values.mean()) / (scale or 1.0)
    rest = rest - time * (time @ rest) / (time @ time or 1.0)
    if float(rest @ rest) <= n * 1e-24:  # rounding
        return np.full(n, np.nan)
    # padded to twice the length: otherwise the end of the series would correlate with its start
    power = np.abs(np.fft.rfft(rest, 2 * n)) ** 2
    products = np.fft.irfft(power, 2 * n)[:n] / np.arange(n, 0, -1)
    return np.asarray(products / products[0])


def first_reached(steps: np.ndarray, values: np.ndarray, threshold: float, direction: str) -> int | None:
    """The first of `steps`, which ascend, at which a value is at least as good as the threshold."""
    good = values >= threshold if direction == "higher" else values <= threshold
    return int(steps[np.argmax(good)]) if good.any() else None
