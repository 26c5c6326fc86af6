"""Views before anything is learned: no level, and images that are those of the signals."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archives import SAMPLE_RATE_HZ, Run, fleet_files, write_archive

from xfmr import features
from xfmr.features import ZERONE_PANELS
from xfmr.schema import RECORD_LENGTH, fixed_size_column, to_numpy
from xfmr.views.views import View, level_free_zerone, spectra

RATE = {"sample_rate_hz": SAMPLE_RATE_HZ}


@pytest.fixture(scope="module")
def signals() -> np.ndarray:
    """Noise of several colours, one record padded with zeros and a dead one."""
    made = np.random.default_rng(0).standard_normal((6, RECORD_LENGTH)).astype(np.float32)
    made[1:3] = made[1:3].cumsum(axis=1) / 50
    made[4, 3000:] = 0
    made[5] = 0
    return made * 0.05


def test_a_spectrum_does_not_know_its_gain(signals: np.ndarray) -> None:
    quiet, loud = (
        spectra(pa.table({"log_spectrum": fixed_size_column(features.log_spectrum(gain * signals[:4], **RATE))}))
        for gain in (2**10, 2**12)  # exact in float32, and far above the floor of the logarithm
    )
    np.testing.assert_allclose(quiet, loud, atol=1e-4)
    np.testing.assert_allclose(np.median(quiet, axis=1), 0, atol=1e-6)


def test_zerone_does_not_know_its_gain(signals: np.ndarray) -> None:
    quiet, loud = (level_free_zerone(features.zerone(gain * signals[:5], **RATE)) for gain in (1, 3))
    np.testing.assert_allclose(quiet, loud, rtol=1e-4, atol=1e-3)


def test_zerone_comes_in_decades_and_is_finite(signals: np.ndarray) -> None:
    raw = features.zerone(signals, **RATE)
    free = level_free_zerone(raw)
    assert (free.dtype, free.shape) == (np.float32, raw.shape)
    assert np.isfinite(free).all()
    psd = ZERONE_PANELS["psd"]
    expected = np.log10(raw[0, psd]) - np.median(np.log10(raw[0, psd]))
    np.testing.assert_allclose(free[0, psd], expected, atol=1e-4)
    assert (np.diff(free[:, ZERONE_PANELS["stft"]], axis=1) >= 0).all()
    np.testing.assert_allclose(free[0, 1], 1)  # the RMS in units of the RMS


def test_images_are_those_of_the_signals(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=1))
    run = Run(tmp_path / "run", {"": archive}, columns=("signal", "cwt", "stft"))
    run.featurize()
    view = View("image", 224, "minmax")
    assert view.columns == ["signal", "cwt", "stft"]
    table = run.table(*view.columns)
    images = view.read(table)
    assert (images.dtype, images.shape) == (np.uint8, (2, 3, 224, 224))
    expected = features.hetero_image(to_numpy(table, "signal", (RECORD_LENGTH,)), **RATE)
    np.testing.assert_allclose(images / 255, expected, atol=2 / 255)


def test_log_images_do_not_know_their_gain_and_are_held_in_bytes(signals: np.ndarray) -> None:
    view = View("image", 64, "log")
    assert view.columns == ["signal"]
    quiet, loud = (view.read(pa.table({"signal": fixed_size_column(gain * signals)})) for gain in (1, 4))
    assert (quiet.dtype, quiet.shape) == (np.uint8, (6, 3, 64, 64))
    assert np.abs(quiet.astype(int) - loud).max() <= 1
    np.testing.assert_allclose(np.median(quiet[:4, :2], axis=(2, 3)), 128, atol=3)
    decades = features.log_hetero_image(signals, size=64, **RATE)
    np.testing.assert_allclose((quiet[0, 0].astype(float) - 128) / 50, decades[0, 0], atol=0.011)
