"""Wavelets as filter taps on a decimated signal, computed once for all signals.

What is computed
    The coefficient of a signal x at scale s and sample t is the integral of psi((u - t) / s) / sqrt(s) times x(u).
    Here x is held constant from sample to sample, and psi(u) = exp(-u^2 / 2) cos(5 u) is the real Morlet wavelet.
    The integral is a dot product,

        W(s, t) = sum over k of x[t + k] sqrt(s) (Psi((k + 1) / s) - Psi(k / s)),

    where Psi is the integral of psi. `pywt.cwt(x, scales, "morl", precision=p)` converges to it as p grows: it reads
    Psi from a table of 2^p values, at the entry below each time. We interpolate in the table, and the difference is
    not negligible. The largest error of the magnitudes, as a share of their maximum, was measured against Psi in
    closed form (by erf) as

                                       PyWavelets, p =        here
                                       12      18      22
        white noise                    0.20    4e-3    3e-4   7e-5
        tone at 0.122 of the rate      0.25    4e-3    1e-4   3e-5
        tone at 0.366 of the rate      0.49    2e-2    4e-4   4e-5
        record of a gearbox            0.23    4e-3    3e-4   3e-5
        step                           9e-3    2e-4    4e-5   3e-4

Decimation
    A wavelet of scale s is a band around 0.8 / s cycles per sample that ends, to 1e-4, below 1.5 / s. From scale 9 on
    the sample rate can be halved once, from 17 on twice, and so on. An octave of scales (4 D, 8 D] is computed at
    1 / D of the rate, where its band ends at 0.36 cycles per sample. Each halving is one half-band filter of 37 taps.

    The taps on a decimated signal are not samples of the wavelet. A decimated sample is x filtered by h_D, the
    cascade of D's half-band filters. The taps g combine shifted copies of h_D into the best approximation of the
    wavelet psi_s: they minimise |sum over m of g[m] h_D(. - m D) - psi_s|^2. This compensates the filters' ripple;
    only aliasing remains.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pywt

Float64Array = npt.NDArray[np.float64]

# PyWavelets' table of Psi has 2^18 entries. Interpolated, it equals the closed form to 1e-8 of its maximum.
_TABLE_PRECISION = 18
# Decimation D serves scales up to 8 D. With 4 D the windows would be half as long, but the band too wide to decimate.
_SCALES_PER_DECIMATION = 8
# Decimated samples on each side of a window's centre: 4 units of the largest scale, where the envelope
# exp(-u^2 / 2) is 3e-4. The gain from 5 units cannot be measured beside the aliasing.
REACH = 4 * _SCALES_PER_DECIMATION
# Half-band filter: passband to 0.18, stopband from 0.32 cycles per sample, at 80 dB. At 70 dB the error of the
# magnitudes is 4e-4 of their maximum.
_PASS_EDGE = 0.18
_ATTENUATION_DB = 80.0


def n_octaves(n_scales: int) -> int:
    """Return the number of decimations 1, 2, 4, .. at which a plane of `n_scales` scales is computed."""
    return max(1, math.ceil(math.log2(n_scales / _SCALES_PER_DECIMATION)) + 1)


def scales_of(octave: int, n_scales: int) -> slice:
    """Return the rows of the plane that are computed at an octave; row 0 is scale 1."""
    last = _SCALES_PER_DECIMATION << octave
    return slice(last // 2 if octave else 0, min(last, n_scales))


@lru_cache(maxsize=16)
def fitted_taps(octave: int, n_scales: int) -> Float64Array:
    """Fit taps on the decimated signal to an octave of wavelets, by least squares.

    Args:
        octave: The signal is decimated by D = 2 ** octave.
        n_scales: Rows of the whole plane.

    Returns:
        Taps, shape (D, 66, scales). Index `phase` = 0..D - 1 is the wavelet centred `phase` samples after a decimated
        sample. Its 66 taps start 32 decimated samples before that one.
    """
    decimation = 2**octave
    response = _response(octave)
    length = 2 * REACH + 2
    times = np.arange((length - 1) * decimation + len(response)) - REACH * decimation - len(response) // 2
    seen = np.zeros((len(times), length))
    for sample in range(length):
        seen[sample * decimation : sample * decimation + len(response), sample] = response
    wanted = np.concatenate([_wavelets(scales_of(octave, n_scales), times - phase) for phase in range(decimation)])
    taps = np.linalg.solve(seen.T @ seen, seen.T @ wanted.T)
    return taps.reshape(length, decimation, -1).transpose(1, 0, 2)


def _wavelets(scales: slice, times: npt.NDArray[np.int64]) -> Float64Array:
    """Sample the wavelets of rows `scales` of the plane, centred at 0: (scales, times)."""
    integral, grid = _wavelet_integral()
    scale = np.arange(scales.start + 1, scales.stop + 1, dtype=np.float64)[:, None]
    edges = np.append(times, times[-1] + 1)
    return np.sqrt(scale) * np.diff(np.interp(edges / scale, grid, integral), axis=1)


@lru_cache(maxsize=1)
def _wavelet_integral() -> tuple[Float64Array, Float64Array]:
    """Tabulate the integral of the wavelet, and the times of its entries in units of the scale."""
    integral, grid = pywt.integrate_wavelet("morl", precision=_TABLE_PRECISION)
    # A running sum that includes an entry is the integral up to the midpoint between that entry and the next.
    return integral, grid + (grid[1] - grid[0]) / 2


@lru_cache(maxsize=1)
def half_band() -> Float64Array:
    """Design the half-band filter that precedes every halving.

    The length and shape of Kaiser's window follow from the attenuation: J. F. Kaiser, Nonrecursive digital filter
    design using the I0-sinh window function, ISCAS 1974.
    """
    transition = 2 * math.pi * (0.5 - 2 * _PASS_EDGE)
    length = 2 * math.ceil((_ATTENUATION_DB - 8) / (2.285 * transition) / 2) + 1
    position = np.arange(length) - length // 2
    ideal = np.sinc(position / 2) * np.kaiser(length, 0.1102 * (_ATTENUATION_DB - 8.7))
    taps: Float64Array = ideal / ideal.sum()
    return taps


@lru_cache(maxsize=8)
def _response(octave: int) -> Float64Array:
    """Return the impulse response of a decimated sample: the cascade of half-band filters."""
    response = np.ones(1)
    for halving in range(octave):
        spread = np.zeros((len(half_band()) - 1) * 2**halving + 1)
        spread[:: 2**halving] = half_band()
        response = np.convolve(response, spread)
    return response
