"""A chunk of records with the moments and spectra that several features share, each computed on first use."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from xfmr.features._batch import Array, Float32Array, array_module, as_signals, check_sample_rate, in_chunks
from xfmr.features.spectra import power, power_density, psd_on_hz_grid, stft, welch_spectra

# Samples in a chunk, 16 records of 8192: on a CPU their spectra (1 MB each) should fit in a core's cache.
_SAMPLES = 2**17


class SignalChunk:
    """A few records and their spectra.

    Moments and PSDs are in float64. Short-time spectra are in float32, of signals that were centred in float64 and
    scaled to a peak of 1: this takes two thirds of the time, and the rounding error lies some 140 dB below the
    strongest line. For a tone in white noise, the largest error of a bin is 0.02 decades if the noise lies 100 dB
    below the tone, and 0.3 decades if it lies 130 dB below.

    Args:
        signals: Signals, float32, shape (n, n_samples), NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz, used by the PSDs only.
    """

    def __init__(self, signals: Array, sample_rate_hz: float = 1.0) -> None:
        self.signals = signals
        self.sample_rate_hz = sample_rate_hz
        self._powers: dict[int, Array] = {}

    @cached_property
    def exact(self) -> Array:
        """The signals in float64."""
        return self.signals.astype(np.float64)

    @cached_property
    def mean(self) -> Array:
        """Mean of each signal, shape (n, 1); exact for a constant signal."""
        first = self.exact[:, :1]
        return first + (self.exact - first).mean(axis=1, keepdims=True)

    @cached_property
    def centred(self) -> Array:
        """The signals minus their means."""
        return self.exact - self.mean

    @cached_property
    def variance(self) -> Array:
        """Mean square of each centred signal, shape (n, 1)."""
        return (self.centred**2).mean(axis=1, keepdims=True)

    @cached_property
    def gain(self) -> Array:
        """Factor that gives the centred signals unit standard deviation, 1 / (deviation + 1e-8), shape (n, 1)."""
        return 1 / (array_module(self.variance).sqrt(self.variance) + 1e-8)

    @cached_property
    def standardised(self) -> Float32Array:
        """The signals at zero mean and unit standard deviation, float32; zeros for a constant signal."""
        standardised: Float32Array = (self.centred * self.gain).astype(np.float32)
        return standardised

    @cached_property
    def peak(self) -> Array:
        """Largest magnitude of each centred signal, shape (n, 1); 1 for a constant signal."""
        xp = array_module(self.signals)
        highest, lowest = self.centred.max(axis=1, keepdims=True), self.centred.min(axis=1, keepdims=True)
        peak = xp.maximum(highest, -lowest)
        return xp.where(peak > 0, peak, 1)

    @cached_property
    def unit(self) -> Float32Array:
        """The centred signals scaled to a peak of 1, float32."""
        unit: Float32Array = (self.centred * (1 / self.peak)).astype(np.float32)
        return unit

    def stft_power(self, nperseg: int) -> Array:
        """Return |STFT|^2 of `unit`, float32, (n, nperseg // 2 + 1, segments); the last segment is zero-padded."""
        if nperseg not in self._powers:
            self._powers[nperseg] = power(stft(self.unit, nperseg=nperseg))
        return self._powers[nperseg]

    @cached_property
    def psd_hz(self) -> Array:
        """Welch PSD of the centred signals at 1, 2, .. 4000 Hz, shape (n, 4000)."""
        return self._psd_hz(self._welch_spectra)

    @cached_property
    def raw_psd_hz(self) -> Array:
        """Welch PSD of the signals with their means at 1, 2, .. 4000 Hz, shape (n, 4000).

        The transform is linear: the mean adds that multiple of the spectrum of a constant 1.
        """
        constant = welch_spectra(array_module(self.exact).ones_like(self.exact[:1]))
        return self._psd_hz(self._welch_spectra + self.mean[:, :, None] * constant)

    @cached_property
    def _welch_spectra(self) -> Array:
        return welch_spectra(self.centred)

    def _psd_hz(self, spectra: Array) -> Array:
        n_samples = self.signals.shape[1]
        psd = power_density(spectra, sample_rate_hz=self.sample_rate_hz, n_samples=n_samples)
        return psd_on_hz_grid(psd, sample_rate_hz=self.sample_rate_hz, n_samples=n_samples)


def of_chunks(
    function: Callable[[SignalChunk], Array], signals: Array, *, sample_rate_hz: float = 1.0
) -> Float32Array:
    """Compute a feature chunk by chunk, so that memory does not grow with the batch.

    Args:
        function: Computes the feature of a chunk, first axis the record.
        signals: Signals, shape (n, n_samples), NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz, for features that read a PSD.

    Returns:
        The feature of all records, float32.

    Raises:
        ValueError: The signals are not of the shape (n, n_samples), or the rate is not positive.
    """
    check_sample_rate(sample_rate_hz)
    signals = as_signals(signals)
    return in_chunks(
        lambda chunk: function(SignalChunk(chunk, sample_rate_hz)), signals, size=records_in_chunk(signals)
    )


def records_in_chunk(signals: Array) -> int:
    """Return the number of records in a chunk, at least 1."""
    return max(1, _SAMPLES // int(signals.shape[1]))
