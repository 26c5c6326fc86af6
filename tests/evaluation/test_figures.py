"""Lines, counts and legends of the figures."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from xfmr.evaluation import Curve, Quality
from xfmr.evaluation.figures import MAX_CURVES, detection_curves, score_distribution
from xfmr.scores.thresholds import Thresholds

SCORES = np.concatenate([np.linspace(0, 1, 360), np.linspace(3, 4, 39), [1000.0]]).astype(np.float32)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that are saved in the test."""
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **options: (figures.append(self), save(self, *args, **options))
    )
    return figures


def test_it_is_a_png() -> None:
    image = score_distribution(SCORES, Thresholds(0.5, 3.0, "mad"))
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"IEND" in image[-12:]


def test_thresholds_and_shares_are_drawn(drawn: list[Figure]) -> None:
    score_distribution(SCORES, Thresholds(0.5, 3.0, "mad"))
    (axes,) = drawn[0].axes
    assert [line.get_xdata() for line in axes.lines] == [[0.5, 0.5], [3.0, 3.0]]
    legend = axes.get_legend()
    assert legend is not None
    normal, anomaly = (text.get_text() for text in legend.get_texts())
    assert normal == "normal: 45.0% of 400 records, threshold 0.5"
    assert anomaly == "anomaly: 10.0% of 400 records, threshold 3"


def test_every_record_is_counted_and_the_far_tail_does_not_set_the_axis(drawn: list[Figure]) -> None:
    score_distribution(SCORES, Thresholds(0.5, 3.0, "mad"))
    (axes,) = drawn[0].axes
    assert sum(bar.get_height() for bar in axes.patches) == len(SCORES)
    assert axes.get_xlim()[1] < 5


@pytest.mark.parametrize("scores", [np.zeros(20), np.full(20, -3.0), np.linspace(-5, -1, 50)])
def test_scores_without_spread_or_below_zero_can_be_drawn(scores: np.ndarray) -> None:
    lower = float(np.median(scores))
    thresholds = Thresholds(lower, float(np.nextafter(lower, np.inf)), "mad")
    assert score_distribution(scores.astype(np.float32), thresholds).startswith(b"\x89PNG")


def straight(height: float) -> Curve:
    """Make a curve that starts at a recall and rises in a straight line to 1."""
    return Curve([2.0, 1.0], [height, 1.0], [0.0, 1.0], [1.0, 0.5])


def quality_at(recall: float | None, precision: float | None) -> Quality:
    return Quality(10, 5, 10, 0.8, 0.8, precision, recall, 0.5, 0.25, {})


def test_curves_of_all_detectors_and_the_thresholds_in_use(drawn: list[Figure]) -> None:
    image = detection_curves(
        {"ours": straight(0.9), "LOF": straight(0.5)},
        {"ours": quality_at(0.9, 0.75), "LOF": quality_at(0.0, None)},
        {},
    )
    assert image.startswith(b"\x89PNG")
    roc, precision_recall = drawn[0].axes
    lines = [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in roc.lines]
    assert lines == [
        [(0.0, 0.0), (0.0, 0.9), (1.0, 1.0)],
        [(0.25, 0.9)],
        [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)],
        [(0.25, 0.0)],
    ]
    lines = [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in precision_recall.lines]
    assert lines == [[(0.9, 1.0), (1.0, 0.5)], [(0.9, 0.75)], [(0.5, 1.0), (1.0, 0.5)]]
    legend = precision_recall.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "LOF"]


def test_of_many_groups_the_worst_are_drawn(drawn: list[Figure]) -> None:
    sensors = {f"s{i}": straight(1 - i / 20) for i in range(MAX_CURVES + 3)}
    detection_curves({"ours": straight(0.5)}, {}, {"sensor_id": sensors, "load": {}})
    assert len(drawn[0].axes) == 4
    roc = drawn[0].axes[2]
    assert roc.get_title() == f"ROC by sensor_id, the {MAX_CURVES} worst of {MAX_CURVES + 3}"
    assert [line.get_ydata()[1] for line in roc.lines] == [1 - i / 20 for i in range(3, MAX_CURVES + 3)]
