"""Figures, drawn from a run's numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xfmr.evaluation import Curve, Curves, Quality
from xfmr.scores.thresholds import Thresholds

# More lines than this in one panel cannot be told apart.
MAX_CURVES = 8


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
    return _png(figure)


def detection_curves(detectors: Curves, in_use: Mapping[str, Quality], groups: Mapping[str, Curves]) -> bytes:
    """Draw ROC curves on the left and precision-recall curves on the right: of all detectors, then by grouping.

    Of many groups the worst are drawn, those with the least area below the ROC curve.

    Args:
        detectors: Curve of each detector, at least one.
        in_use: What each reaches at the threshold in use, marked by a dot.
        groups: Curves of the first detector by grouping and group; a grouping without any is left out.

    Returns:
        A PNG image.
    """
    panels = {"detector": detectors} | {grouping: curves for grouping, curves in groups.items() if curves}
    figure = Figure(figsize=(11, 4.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 2, squeeze=False)
    for (roc, precision_recall), (grouping, curves) in zip(axes, panels.items(), strict=True):
        _draw(roc, precision_recall, curves, in_use if grouping == "detector" else {})
        title = grouping if len(curves) <= MAX_CURVES else f"{grouping}, the {MAX_CURVES} worst of {len(curves)}"
        roc.set(title=f"ROC by {title}", xlabel="false alarm rate", ylabel="recall")
        precision_recall.set(title=f"Precision-recall by {title}", xlabel="recall", ylabel="precision")
        precision_recall.set_ylim(-0.02, 1.02)
        precision_recall.legend(fontsize="small")
    return _png(figure)


def _draw(roc: Axes, precision_recall: Axes, curves: Curves, in_use: Mapping[str, Quality]) -> None:
    worst = set(sorted(curves, key=lambda name: _area(curves[name]))[:MAX_CURVES])
    for name, curve in ((name, curve) for name, curve in curves.items() if name in worst):
        (line,) = roc.plot([0.0, *curve.false_alarm_rate], [0.0, *curve.recall])
        precision_recall.plot(curve.recall, curve.precision, color=line.get_color(), label=name)
        if (judged := in_use.get(name)) and judged.recall is not None and judged.false_alarm_rate is not None:
            roc.plot(judged.false_alarm_rate, judged.recall, "o", color=line.get_color())
            if judged.precision is not None:
                precision_recall.plot(judged.recall, judged.precision, "o", color=line.get_color())


def _area(curve: Curve) -> float:
    return float(np.trapezoid([0.0, *curve.recall], [0.0, *curve.false_alarm_rate]))


def _png(figure: Figure) -> bytes:
    image = BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
