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

    How loud an eighth is, is the geometric mean of the mean magnitudes that Zerone holds of its frames (127 of 128
    samples, half overlapping).

    Args:
        zerone: As :func:`xfmr.features.zerone` returns them, shape (n, 1200).

    Returns:
        Loudest by (lower) median, at least 1, shape (n,); 1 for a record of silence.
    """
    frames = zerone[:, ZERONE_PANELS["stft"]].astype(np.float64)
    least = np.maximum(_SILENCE * frames.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    decades = np.log10(np.maximum(frames, least))
    first = np.arange(_PARTS) * -(-frames.shape[1] // _PARTS)
    n_frames = np.diff(first, append=frames.shape[1])
    loudness = np.sort(np.add.reduceat(decades, first, axis=1) / n_frames, axis=1)
    ratio: NDArray[np.float64] = 10 ** (loudness[:, -1] - loudness[:, (_PARTS - 1) // 2])
    return ratio
