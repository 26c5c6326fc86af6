"""Scaling learned from a history is applied alike to every record, and comes back whole from a model's file."""

from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from archives import Run, fleet_files, line, write_archive
from fitted import inputs_of
from identities import rows_of

from xfmr.features import raster_image
from xfmr.networks.checkpoint import from_bytes, to_bytes
from xfmr.normal import CLIP, Rows, Standardiser
from xfmr.schema import IDENTITY_COLUMNS, RECORD_LENGTH, fixed_size_column, to_numpy
from xfmr.settings.stage_one import Branch
from xfmr.views.inputs import NetworkInputs
from xfmr.views.scalers import MIDDLE, STEPS_PER_SIGMA
from xfmr.views.views import View, spectra

BRANCHES = get_args(Branch)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two fleets with a sensor of one name each; the north's has a history of its own."""
    north = write_archive(tmp_path / "north", fleet_files(sensors=["变压器=1"], minutes=32))
    south = write_archive(tmp_path / "south", {"a.jsonl": [line("变压器=1", 0, 900), line("x", 0, 901)]})
    made = Run(tmp_path / "run", {"north": north, "south": south})
    made.featurize()
    return made


def test_sensors_are_told_apart_by_fleet_and_name(run: Run) -> None:
    rows = Rows.of(run.table())
    assert len(rows) == 34
    assert set(rows.sensors) == {("north", "", "变压器=1"), ("south", "", "变压器=1"), ("south", "", "x")}


def test_each_sensor_is_measured_by_its_own_history_or_the_fleets(run: Run) -> None:
    inputs, table = inputs_of(run), run.table("log_spectrum")
    standardiser = inputs.scalers["vector"]
    assert isinstance(standardiser, Standardiser)
    assert standardiser.sensors == (("north", "", "变压器=1"),)
    values = spectra(table)
    own = np.array(table["fleet"]) == "north"
    standardised = inputs(table)
    assert standardised.dtype == np.float32
    np.testing.assert_allclose(np.median(standardised[own], axis=0), 0, atol=1e-4)
    median, scale = standardiser.median[-1], standardiser.scale[-1]
    np.testing.assert_allclose(standardised[~own], ((values[~own] - median) / scale).clip(-10, 10), atol=1e-4)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Two sensors, one of them with a history of its own."""
    folder = tmp_path_factory.mktemp("rows")
    files = {**fleet_files(sensors=["s1"], minutes=12), "few.jsonl": [line("s2", m, 100 + m) for m in range(4)]}
    columns = ("signal", "zerone", "log_spectrum", "cwt", "stft")
    made = Run(folder / "run", {"": write_archive(folder / "archive", files)}, columns=columns)
    made.featurize()
    return made.table(*columns)


@pytest.mark.parametrize("branch", BRANCHES)
def test_what_a_model_file_keeps_gives_the_same_inputs(rows: pa.Table, branch: Branch) -> None:
    view = View(branch, 32, "log")
    inputs = NetworkInputs.fit(view, view.read(rows), Rows.of(rows))
    stored = from_bytes(to_bytes(inputs.tensors(), {"kind": "test", **inputs.description()}), "a", kind="test")
    restored = NetworkInputs.restore(stored.description, stored.tensors)
    assert restored.view == view
    assert restored.columns == inputs.columns
    np.testing.assert_array_equal(restored(rows.select(IDENTITY_COLUMNS + inputs.columns)), inputs(rows))


@pytest.mark.parametrize("branch", BRANCHES)
def test_rows_are_scaled_one_by_one_as_together(rows: pa.Table, branch: Branch) -> None:
    view = View(branch, 32, "log")
    inputs = NetworkInputs.fit(view, view.read(rows), Rows.of(rows))
    together = inputs(rows)
    for i in (0, 5, len(rows) - 1):
        assert_alike(inputs(rows.slice(i, 1)), together[i : i + 1])


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """Compare, up to rounding, which may move a byte by one."""
    assert found.dtype == expected.dtype
    for name in found.dtype.names or [...]:
        atol = 1 if found[name].dtype == np.uint8 else 1e-3
        np.testing.assert_allclose(found[name].astype(float), expected[name].astype(float), atol=atol)


def test_zerone_is_measured_in_sigmas_of_its_sensor(rows: pa.Table) -> None:
    view = View("zerone", 32, "log")
    inputs = NetworkInputs.fit(view, view.read(rows), Rows.of(rows))
    scaled = inputs(rows)
    own = np.array(rows["sensor_id"]) == "s1"
    assert (scaled.dtype, scaled.shape) == (np.float32, (16, 1200))
    np.testing.assert_allclose(np.median(scaled[own], axis=0), 0, atol=1e-4)
    assert np.abs(scaled).max() <= CLIP


def test_a_log_image_is_measured_row_by_row_in_sigmas_of_its_sensor() -> None:
    view, random = View("image", 32, "log"), np.random.default_rng(0)
    signals = random.standard_normal((14, RECORD_LENGTH)).astype(np.float32)
    signals[:12] = signals[:12].cumsum(axis=1)  # the first sensor hums, the second hisses
    own = rows_of([("", "", "s1")] * 12 + [("", "", "s2")] * 2)
    read = view.read(pa.table({"signal": fixed_size_column(signals)}))
    inputs = NetworkInputs.fit(view, read, own)
    scaled = inputs.scale(read, own).astype(float)
    np.testing.assert_allclose(np.median(scaled[:12], axis=(0, 3)), MIDDLE, atol=1)
    sigma = 1.4826 * np.median(np.abs(scaled[:12] - MIDDLE), axis=(0, 3))
    np.testing.assert_allclose(np.median(sigma), STEPS_PER_SIGMA, rtol=0.15)
    # The second has little history, so it is measured by the fleet's rows; one row that is louder shows alone.
    louder = read[12:].copy()
    louder[:, 0, 5] += 20
    moved = inputs.scale(louder, own[np.arange(12, 14)]).astype(float) - scaled[12:]
    assert moved[:, 0, 5].mean() > STEPS_PER_SIGMA / 4
    assert np.abs(np.delete(moved[:, 0], 5, axis=1)).max() == 0
    assert (
        inputs.scale(read[12:], own[np.arange(2)]) != scaled[12:]
    ).mean() > 0.3  # the first sensor's rows are others


def test_a_raster_image_is_drawn_within_the_range_of_the_history(rows: pa.Table) -> None:
    view, history = View("raster", 32, "log"), rows.slice(0, 8)
    inputs = NetworkInputs.fit(view, view.read(history), Rows.of(history))
    known = to_numpy(history, "zerone")
    expected = raster_image(to_numpy(rows, "zerone"), low=known.min(axis=0), high=known.max(axis=0))
    images = inputs(rows)
    assert (images.dtype, images.shape) == (np.uint8, (16, 3, 150, 150))
    np.testing.assert_allclose(images / 255, expected, atol=0.51 / 255)
    assert (images[:8].max(axis=0) > 0).sum() > 10_000
    assert images[8:].max() == 255  # beyond the range: cut


def test_min_max_scaled_images_have_nothing_learned_to_keep(rows: pa.Table) -> None:
    view = View("image", 32, "minmax")
    inputs = NetworkInputs.fit(view, view.read(rows), Rows.of(rows))
    assert inputs.tensors() == {}
    np.testing.assert_array_equal(inputs(rows), view.read(rows))
