"""Figures of a run: the score distribution, and ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xfmr.evaluation import Curve, Curves, Quality
from xfmr.schema import PseudoLabel
from xfmr.scores.thresholds import Thresholds

# More lines in one panel would be hard to tell apart.
MAX_CURVES = 8


def score_distribution(scores: NDArray[np.float32], thresholds: Thresholds) -> bytes:
    """Draw the histogram of all scores with both thresholds and the share of records on each side.

    Args:
        scores: Finite scores, shape (n,).
        thresholds: Upper end of ``normal`` and lower end of ``anomaly``.

    Returns:
        A PNG image.
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    # The axis ends near the 99.5th percentile; with the far tail on it, nearly all records would share one bin.
    last = max(float(np.percentile(scores, 99.5)), thresholds.upper * 1.2, thresholds.lower)
    axes.hist(np.minimum(scores, last), bins=80, color="#4477aa")
    shares = {
        PseudoLabel.NORMAL: np.mean(scores <= thresholds.lower),
        PseudoLabel.ANOMALY: np.mean(scores >= thresholds.upper),
    }
    for (name, share), at, colour in zip(
        shares.items(), (thresholds.lower, thresholds.upper), ("#228833", "#cc3311"), strict=True
    ):
        axes.axvline(at, color=colour, label=f"{name}: {share:.1%} of {len(scores)} records, threshold {at:.3g}")
    axes.set(xlabel="score (higher is more abnormal; the last bin holds all beyond)", ylabel="records", yscale="log")
    axes.legend()
    return _png(figure)


def detection_curves(detectors: Curves, overall: Mapping[str, Quality], groups: Mapping[str, Curves]) -> bytes:
    """Draw ROC curves on the left and precision-recall curves on the right.

    The first row of panels compares the detectors; each further row compares the groups of one grouping. A row shows
    at most :data:`MAX_CURVES` curves, those with the smallest area under the ROC curve.

    Args:
        detectors: Curve of each detector, at least one.
        overall: Quality of each detector over all records; a dot marks its recall at the threshold in use.
        groups: Curves of the first detector by grouping and group; a grouping without curves gets no panels.

    Returns:
        A PNG image.
    """
    panels = {"detector": detectors} | {grouping: curves for grouping, curves in groups.items() if curves}
    figure = Figure(figsize=(11, 4.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 2, squeeze=False)
    for (roc, precision_recall), (grouping, curves) in zip(axes, panels.items(), strict=True):
        _draw(roc, precision_recall, curves, overall if grouping == "detector" else {})
        title = grouping if len(curves) <= MAX_CURVES else f"{grouping}, the {MAX_CURVES} worst of {len(curves)}"
        roc.set(title=f"ROC by {title}", xlabel="false alarm rate", ylabel="recall")
        precision_recall.set(title=f"Precision-recall by {title}", xlabel="recall", ylabel="precision")
        precision_recall.set_ylim(-0.02, 1.02)
        precision_recall.legend(fontsize="small")
    return _png(figure)


def _draw(roc: Axes, precision_recall: Axes, curves: Curves, overall: Mapping[str, Quality]) -> None:
    worst = set(sorted(curves, key=lambda name: _roc_area(curves[name]))[:MAX_CURVES])
    for name, curve in curves.items():
        if name not in worst:
            continue
        (line,) = roc.plot([0.0, *curve.false_alarm_rate], [0.0, *curve.recall])
        precision_recall.plot(curve.recall, curve.precision, color=line.get_color(), label=name)
        if (quality := overall.get(name)) and quality.recall is not None and quality.false_alarm_rate is not None:
            roc.plot(quality.false_alarm_rate, quality.recall, "o", color=line.get_color())
            if quality.precision is not None:
                precision_recall.plot(quality.recall, quality.precision, "o", color=line.get_color())


def _roc_area(curve: Curve) -> float:
    return float(np.trapezoid([0.0, *curve.recall], [0.0, *curve.false_alarm_rate]))


def _png(figure: Figure) -> bytes:
    image = BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
