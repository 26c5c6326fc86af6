"""What a model sees: level-free spectra in sigmas of their sensor, or images; the same wherever it is restored."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archives import SAMPLE_RATE_HZ, Run, fleet_files, line, write_archive
from fitted import inputs_of

from xfmr.features import N_SAMPLES, hetero_image
from xfmr.inputs import ModelInputs, branch_values, sensor_keys
from xfmr.models.checkpoint import from_bytes, to_bytes
from xfmr.schema import to_numpy


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two fleets with a sensor of one name each; the north's has a history of its own."""
    north = write_archive(tmp_path / "north", fleet_files(sensors=["变压器=1"], minutes=32))
    south = write_archive(tmp_path / "south", {"a.jsonl": [line("变压器=1", 0, 900), line("x", 0, 901)]})
    made = Run(tmp_path / "run", {"north": north, "south": south})
    made.featurize()
    return made


def test_sensors_are_told_apart_by_fleet_and_name(run: Run) -> None:
    keys = sensor_keys(run.table())
    assert len(keys) == 34
    assert set(keys) == {("north", "变压器=1"), ("south", "变压器=1"), ("south", "x")}


def test_a_spectrum_does_not_know_its_gain(run: Run) -> None:
    table = run.table("log_spectrum")
    values = branch_values("spectrum", table, image_size=32)
    stored = to_numpy(table, "log_spectrum")
    np.testing.assert_allclose(values, stored - np.median(stored, axis=1)[:, None], atol=1e-6)
    louder = table.set_column(
        table.schema.get_field_index("log_spectrum"),
        table.schema.field("log_spectrum"),
        pa.FixedSizeListArray.from_arrays(pa.array((stored + 2).reshape(-1)), type=table["log_spectrum"].type),
    )
    np.testing.assert_allclose(branch_values("spectrum", louder, image_size=32), values, atol=1e-5)


def test_each_sensor_is_measured_by_its_own_history_or_the_fleets(run: Run) -> None:
    inputs, table = inputs_of(run), run.table("log_spectrum")
    assert inputs.standardiser is not None
    assert inputs.standardiser.sensors == (("north", "变压器=1"),)
    values, keys = branch_values("spectrum", table, image_size=32), sensor_keys(table)
    own = np.array([key == ("north", "变压器=1") for key in keys])
    standardised = inputs(table)
    assert standardised.dtype == np.float32
    np.testing.assert_allclose(np.median(standardised[own], axis=0), 0, atol=1e-4)
    median, scale = inputs.standardiser.median[-1], inputs.standardiser.scale[-1]
    np.testing.assert_allclose(standardised[~own], ((values[~own] - median) / scale).clip(-10, 10), atol=1e-4)


def test_images_are_those_of_the_signals(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=1))
    run = Run(tmp_path / "run", {"": archive}, columns=("signal", "cwt", "stft"))
    run.featurize()
    table = run.table("signal", "cwt", "stft")
    inputs = ModelInputs("image", 224, None)
    images = inputs(table)
    assert (images.dtype, images.shape) == (np.uint8, (2, 3, 224, 224))
    expected = hetero_image(to_numpy(table, "signal", (N_SAMPLES,)), sample_rate_hz=SAMPLE_RATE_HZ)
    np.testing.assert_allclose(images / 255, expected, atol=2 / 255)
    assert inputs.columns == ["signal", "cwt", "stft"]


def test_what_a_model_file_keeps_gives_the_same_inputs(run: Run) -> None:
    inputs, table = inputs_of(run), run.table("log_spectrum")
    stored = from_bytes(to_bytes(inputs.tensors(), {"kind": "test", **inputs.description()}), "a", kind="test")
    restored = ModelInputs.restore(stored.description, stored.tensors)
    assert restored.columns == inputs.columns
    np.testing.assert_array_equal(restored(table), inputs(table))


def test_an_image_branch_has_nothing_learned_to_keep() -> None:
    inputs = ModelInputs("image", 64, None)
    assert inputs.tensors() == {}
    assert ModelInputs.restore(json.loads(json.dumps(inputs.description())), {}) == inputs
