"""The fault classifier in use: names and probabilities that can be checked by hand, and its file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from archives import Run, fleet_files, write_archive
from fitted import CLASSES, classifier, detector, inputs_of

from xfmr.errors import XfmrError
from xfmr.faults.classifier import FaultClassifier


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files())})
    made.featurize()
    return made


def test_the_most_probable_class_and_its_probability(run: Run) -> None:
    made = classifier(inputs_of(run))
    made.network.head[1].weight.data.zero_()
    made.network.head[1].bias.data = torch.log(torch.tensor([0.1, 0.2, 0.7]))
    names, confidence = made.predict(run.table(*made.columns))
    assert names.tolist() == ["锈"] * 12
    np.testing.assert_allclose(confidence, 0.7, rtol=1e-6)
    assert confidence.dtype == np.float32


def test_each_row_has_the_prediction_of_its_own_record(run: Run) -> None:
    made, table = classifier(inputs_of(run)), run.table("log_spectrum")
    with torch.no_grad():
        expected = made.network(torch.from_numpy(made.inputs(table))).softmax(1)
    names, confidence = made.predict(table)
    assert names.tolist() == [CLASSES[i] for i in expected.argmax(1)]
    np.testing.assert_allclose(confidence, expected.max(1).values, rtol=1e-5)
    one_by_one = [made.predict(table.slice(i, 1))[1][0] for i in range(len(table))]
    np.testing.assert_allclose(one_by_one, confidence, rtol=1e-4)


def test_no_rows(run: Run) -> None:
    names, confidence = classifier(inputs_of(run)).predict(run.table("log_spectrum").slice(0, 0))
    assert (names.shape, confidence.shape) == ((0,), (0,))


def test_the_file_gives_the_same_predictions(run: Run) -> None:
    made, table = classifier(inputs_of(run), trained_on=[5, -(2**63), 2**63 - 1]), run.table("log_spectrum")
    read = FaultClassifier.from_bytes(made.to_bytes(), "a")
    assert read.classes == CLASSES
    assert read.trained_on.tolist() == [5, -(2**63), 2**63 - 1]
    for before, after in zip(made.predict(table), read.predict(table), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_detector_is_no_classifier(run: Run) -> None:
    data = detector(inputs_of(run)).to_bytes()
    with pytest.raises(XfmrError, match=r"^a\.safetensors holds a svdd, not a classifier[^\n]*$"):
        FaultClassifier.from_bytes(data, "a.safetensors")
