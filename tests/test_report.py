"""The figure of the scores: its lines, its counts and what it says of them."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from xfmr.report import score_distribution
from xfmr.thresholds import Thresholds

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
