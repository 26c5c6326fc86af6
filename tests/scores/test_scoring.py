"""Meaning of scores: the detector that makes them, thresholds, pseudo-labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archives import Run, fleet_files, write_archive
from fitted import publish_detector
from scipy import stats

from xfmr.errors import XfmrError
from xfmr.scores.scoring import load_detector, thresholds_of, thresholds_of_run, with_pseudo_labels
from xfmr.scores.thresholds import Method, Thresholds


def test_too_few_scores_for_thresholds_are_an_error_of_one_line() -> None:
    with pytest.raises(XfmrError, match=r"^no thresholds by mad: [^\n]*larger archive or another method$"):
        thresholds_of(np.arange(3.0), "mad")


@pytest.mark.parametrize(("method", "expected"), [("percentile", 2.33), ("peaks_over_threshold", 3.09), ("mad", 4.0)])
def test_faults_that_are_scored_do_not_move_thresholds(method: Method, expected: float) -> None:
    """Of normal scores with a tenth of faults: the 99th percentile, the one in a thousand, four sigmas."""
    scores = np.r_[stats.norm.ppf((np.arange(2000) + 0.5) / 2000), np.linspace(10, 50, 200)]
    shuffled = np.random.default_rng(0).permutation(len(scores))
    scored = pa.table({"record_id": shuffled, "score": scores[shuffled].astype(np.float32)})
    thresholds = thresholds_of_run(scored, np.arange(2000), method)
    assert thresholds.upper == pytest.approx(expected, rel=0.2)


def test_a_run_whose_detector_learned_from_other_records_has_no_percentiles() -> None:
    scored = pa.table({"record_id": np.arange(100), "score": np.arange(100.0)})
    with pytest.raises(XfmrError, match=r"^no thresholds by percentile"):
        thresholds_of_run(scored, np.arange(1000, 1100), "percentile")


def test_pseudo_labels_by_hand() -> None:
    scored = pa.table({"score": pa.chunked_array([[0.5, 1.0], [1.5, 2.0, 9.0]], pa.float32())})
    labelled = with_pseudo_labels(scored, Thresholds(1.0, 2.0, "mad"))
    assert labelled["pseudo_label"].to_pylist() == ["normal", "normal", "uncertain", "anomaly", "anomaly"]


def test_a_run_without_a_detector_is_told_so(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files(minutes=3))})
    run.featurize()
    with pytest.raises(XfmrError, match=r"has no detector model: run jobs\.fit_detector on it first$"):
        load_detector(run.features)
    detector = publish_detector(run)
    assert load_detector(run.features).to_bytes() == detector.to_bytes()
