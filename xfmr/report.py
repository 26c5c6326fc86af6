"""Figures, drawn from a run's numbers alone."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xfmr.thresholds import Thresholds


def score_distribution(scores: NDArray[np.float32], thresholds: Thresholds) -> bytes:
    """Draw the histogram of all scores with both thresholds and the share of records on each side.

    Args:
        scores: Finite scores, shape (n,).
        thresholds: Where ``normal`` ends and where ``anomaly`` begins.

    Returns:
        A PNG image.
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    # The far tail would squeeze the bulk into one bin, so the axis ends near the 99.5th percentile.
    last = max(float(np.percentile(scores, 99.5)), thresholds.upper * 1.2, thresholds.lower)
    axes.hist(np.minimum(scores, last), bins=80, color="#4477aa")
    shares = {
        "normal": np.mean(scores <= thresholds.lower),
        "anomaly": np.mean(scores >= thresholds.upper),
    }
    for (name, share), at, colour in zip(
        shares.items(), (thresholds.lower, thresholds.upper), ("#228833", "#cc3311"), strict=True
    ):
        axes.axvline(at, color=colour, label=f"{name}: {share:.1%} of {len(scores)} records, threshold {at:.3g}")
    axes.set(xlabel="score (higher is more abnormal; the last bin holds all beyond)", ylabel="records", yscale="log")
    axes.legend()
    image = BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
