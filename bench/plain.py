"""Reference implementations: one record at a time, with the standard library, SciPy and PyWavelets.

The benchmarks compare the speed of `xfmr.features` with them, and the tests its results.
"""

import json

import numpy as np
import numpy.typing as npt
import pywt
from scipy import signal as sps
from scipy import stats

Vector = npt.NDArray[np.float64]


def parse(line: bytes) -> npt.NDArray[np.float32]:
    """Parse the signal of a line."""
    return np.array([float(token) for token in json.loads(line)["signal_value"].split(",")], dtype=np.float32)


def zerone(x: Vector, rate: float) -> Vector:
    """Compute the 1200 values of one signal."""
    centred = x - x.mean()
    frames = np.abs(sps.stft(centred, nperseg=128, boundary=None)[2])[1:].mean(axis=0)[:127]
    psd = _psd_hz(centred, rate)
    bands = psd[1000:2000].reshape(50, 20).mean(axis=1)
    return np.concatenate([_moments(x), np.pad(frames, (0, 127 - len(frames))), psd[:1000], bands, _ratios(psd)])


def log_spectrum(x: Vector) -> Vector:
    """Compute the mean log spectrum of one signal."""
    centred = x - x.mean()
    spectra = [sps.stft(centred, nperseg=n, boundary=None, padded=False)[2] for n in (128, 256, 512)]
    return np.concatenate([np.log10(np.maximum(np.abs(s) ** 2, 1e-12)).mean(axis=1) for s in spectra])


def health(x: Vector, rate: float) -> Vector:
    """Compute power entropy, determinism, vibration stability, high-frequency share and health index."""
    psd = np.concatenate([[0], _psd_hz(x, rate)[:2000]])
    h, c, high = _entropy(psd), _determinism(x), 100 * psd[999:].max() / (psd[:951].max() + 1e-12)
    maxima = x[: len(x) // 50 * 50].reshape(50, -1).max(axis=1)
    v = 100 * maxima.std() / (maxima.mean() + 1e-12)
    s_h = 0.5671 * np.exp(-(((h - 3.1) / 0.5895) ** 2)) + 0.9038 * np.exp(-(((h - 2.147) / 0.945) ** 2))
    s_c = 0.3972 * np.exp(-(((c + 0.08728) / 0.09103) ** 2)) + 0.9079 * np.exp(-(((c - 0.08263) / 0.2975) ** 2))
    s_v = 0.9412 * np.exp(0.3344 * v / 100) - 0.9361 * np.exp(-57.31 * v / 100)
    s_high = 0.9552 * np.exp(0.1019 * high / 100) - 0.489 * np.exp(-43.76 * high / 100)
    return np.array([h, c, v, high, 100 * (0.5 * s_h + 0.1 * s_c + 0.1 * s_v + 0.3 * s_high)])


def transform(x: Vector, *, precision: int = 12) -> Vector:
    """Compute |CWT| at every sample: (128, n_samples)."""
    z = (x - x.mean()) / (x.std() + 1e-8)
    plane: Vector = np.abs(pywt.cwt(z, np.arange(1, 129), "morl", precision=precision)[0])
    return plane


def spectrogram(x: Vector) -> Vector:
    """Compute the STFT magnitude of the standardised signal."""
    z = (x - x.mean()) / (x.std() + 1e-8)
    plane: Vector = np.abs(sps.stft(z, nperseg=256, boundary=None)[2])
    return plane


def _moments(x: Vector) -> Vector:
    rms, mean_absolute = np.sqrt((x**2).mean()), np.abs(x).mean()
    crossings = (np.diff(np.signbit(x)) != 0).sum() / (len(x) - 1)
    shape = stats.kurtosis(x, fisher=False), stats.skew(x)
    ratios = x.max() / rms, x.max() / mean_absolute, x.max() / (x**4).mean() ** 0.25, rms / mean_absolute
    spread = x.var(), x.std(), x.max(), x.min(), np.ptp(x)
    return np.array([x.mean(), rms, *spread, *shape, crossings, mean_absolute, *ratios])


def _psd_hz(x: Vector, rate: float) -> Vector:
    frequency, psd = sps.welch(x, rate, nperseg=4096, nfft=len(x), detrend=False)
    inner = (frequency >= 1) & (frequency <= 4000)
    return np.interp(np.arange(1, 4001), frequency[inner], psd[inner])


def _ratios(psd: Vector) -> Vector:
    total = np.trapezoid(psd) + 1e-12
    parts = [(psd[: hz - 1], psd[hz - 1 :]) for hz in (1000, 2000, 3000, 4000)]
    return np.array([(up.mean() / (low.mean() + 1e-12), np.trapezoid(up) / total) for low, up in parts]).ravel()


def _entropy(psd: Vector) -> float:
    share = np.cumsum(psd) / (psd.sum() + 1e-12)
    centre = np.arange(50, 2001, 50)
    weighted = (share[np.minimum(centre + 10, 2000)] - share[centre - 10]) * centre / 2000
    p = weighted / (weighted.sum() + 1e-12)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def _determinism(x: Vector) -> float:
    y = x[::4][:2048]
    embedded = np.stack([y[:-1], y[1:]], axis=1)
    hits = runs = 0
    for lag in range(1, 65):
        near = ((embedded[lag:] - embedded[:-lag]) ** 2).sum(axis=1) <= 0.01
        edged = np.pad(near, 1)
        hits += near.sum()
        runs += (near & (edged[:-2] | edged[2:])).sum()
    return runs / hits if hits else 0.0
