"""Records with a knock in them, such as a tap changer's: a part of the second is louder than the rest.

A fault of the machine goes on for the whole second, however its blows follow each other.
"""

import numpy as np
from numpy.typing import NDArray

from xfmr.features import ZERONE_PANELS

# Parts that a record is cut into: an eighth of a second for 8192 samples at 8192 Hz. A tap changer's blows last about
# twice that.
_PARTS = 8
# Share of the loudest frame below which silence is silence, such as that which short records are padded with.
_SILENCE = 1e-6


def knock_ratio(zerone: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compare the loudest part of a record with its middle one.

    How loud an eighth is, is the geometric mean of the mean magnitudes that Zerone holds of its frames: 127 of 128
    samples, half overlapping, or as many as the record has. Of a record longer than 8192 samples these are the first.

    Args:
        zerone: As :func:`xfmr.features.zerone` returns them, shape (n, 1200).

    Returns:
        Loudest by (lower) median, at least 1, shape (n,); 1 for a record of silence.
    """
    frames = zerone[:, ZERONE_PANELS["stft"]].astype(np.float64)
    least = np.maximum(_SILENCE * frames.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    summed = np.pad(np.log10(np.maximum(frames, least)).cumsum(axis=1), ((0, 0), (1, 0)))
    n_frames = np.where(frames > 0, np.arange(1, frames.shape[1] + 1), _PARTS).max(axis=1, initial=_PARTS)
    ends = n_frames[:, None] * np.arange(_PARTS + 1) // _PARTS
    loudness = np.sort(np.diff(np.take_along_axis(summed, ends, axis=1)) / np.diff(ends), axis=1)
    ratio: NDArray[np.float64] = 10 ** (loudness[:, -1] - loudness[:, (_PARTS - 1) // 2])
    return ratio
