"""Knocks, such as a tap changer's: one segment of the second is louder than the rest.

A fault of the machine lasts for the whole second, whatever the rhythm of its impacts.
"""

import numpy as np
from numpy.typing import NDArray

from xfmr.features import ZERONE_PANELS

# A record is cut into this many segments, of 125 ms for 8192 samples at 8192 Hz. A tap changer's knock lasts about
# twice that.
_SEGMENTS = 8
# A frame below this share of the loudest one is silent, such as the zeros that pad a short record.
_SILENCE = 1e-6


def knock_ratio(zerone: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the loudness of a record's loudest segment over that of its median segment.

    The loudness of a segment is the geometric mean of the mean magnitudes of its frames in Zerone: 127 frames of 128
    samples, half overlapping, or fewer if the record is short. Only the first 8192 samples of a longer record count.

    Args:
        zerone: As :func:`xfmr.features.zerone` returns them, shape (n, 1200).

    Returns:
        Loudest over (lower) median, at least 1, shape (n,); 1 for a silent record.
    """
    frames = zerone[:, ZERONE_PANELS["stft"]].astype(np.float64)
    least = np.maximum(_SILENCE * frames.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    summed = np.pad(np.log10(np.maximum(frames, least)).cumsum(axis=1), ((0, 0), (1, 0)))
    n_frames = np.where(frames > 0, np.arange(1, frames.shape[1] + 1), _SEGMENTS).max(axis=1, initial=_SEGMENTS)
    ends = n_frames[:, None] * np.arange(_SEGMENTS + 1) // _SEGMENTS
    loudness = np.sort(np.diff(np.take_along_axis(summed, ends, axis=1)) / np.diff(ends), axis=1)
    ratio: NDArray[np.float64] = 10 ** (loudness[:, -1] - loudness[:, (_SEGMENTS - 1) // 2])
    return ratio
