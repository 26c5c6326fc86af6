"""A knock is what one part of a record has and the others have not."""

import numpy as np
import pytest

from xfmr.features import zerone
from xfmr.views.knocks import knock_ratio

RATE_HZ = 8192.0
N = 8192


def ratio(signal: np.ndarray) -> float:
    return float(knock_ratio(zerone(signal[None].astype(np.float32), sample_rate_hz=RATE_HZ))[0])


def noise(*, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(N)


def test_of_white_noise_all_parts_are_alike() -> None:
    assert max(ratio(noise(seed=seed)) for seed in range(20)) < 1.15


@pytest.mark.parametrize("start", [0, 1, 1000, 3500, 7000, N - 1000])
def test_a_part_twice_as_loud_is_found_wherever_it_is(start: int) -> None:
    signal = noise()
    signal[start : start + 1000] *= 3
    assert 1.7 < ratio(signal) < 3.1


def test_blows_that_follow_each_other_are_no_knock() -> None:
    blows = np.zeros(N)
    blows[::400] = 20
    assert ratio(noise() + blows) < 1.15


def test_the_level_does_not_matter() -> None:
    signal = noise()
    signal[2000:3000] *= 4
    assert ratio(1e-3 * signal) == pytest.approx(ratio(signal), rel=1e-3)


@pytest.mark.parametrize("n", [4096, 6000, 16384])
def test_records_of_other_lengths(n: int) -> None:
    signal = np.random.default_rng(0).standard_normal(n)
    assert ratio(signal) < 1.3
    signal[1000:2000] *= 3
    assert 1.7 < ratio(signal) < 3.1


def test_silence_is_no_knock() -> None:
    assert ratio(np.zeros(N)) == pytest.approx(1)
    assert np.isfinite(ratio(np.pad(noise()[:2000], (0, N - 2000))))


def test_no_records() -> None:
    assert knock_ratio(np.empty((0, 1200), np.float32)).shape == (0,)
