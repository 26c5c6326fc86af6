"""What scores mean: the detector that makes them, thresholds, pseudo-labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archives import Run, fleet_files, write_archive
from fitted import publish_detector

from xfmr.errors import XfmrError
from xfmr.published import Models
from xfmr.scores.scoring import load_detector, thresholds_of, with_pseudo_labels
from xfmr.thresholds import Thresholds


def test_too_few_scores_for_thresholds_are_an_error_of_one_line() -> None:
    with pytest.raises(XfmrError, match=r"^no thresholds by mad: [^\n]*larger archive or another method$"):
        thresholds_of(np.arange(3.0), "mad")


def test_pseudo_labels_by_hand() -> None:
    scored = pa.table({"score": pa.chunked_array([[0.5, 1.0], [1.5, 2.0, 9.0]], pa.float32())})
    labelled = with_pseudo_labels(scored, Thresholds(1.0, 2.0, "mad"))
    assert labelled["pseudo_label"].to_pylist() == ["normal", "normal", "uncertain", "anomaly", "anomaly"]


def test_a_run_without_a_detector_is_told_so(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files(minutes=3))})
    run.featurize()
    with pytest.raises(XfmrError, match=r"has no detector model: run jobs\.fit_detector on it first$"):
        load_detector(Models(run.store))
    detector = publish_detector(run)
    assert load_detector(Models(run.store)).to_bytes() == detector.to_bytes()
