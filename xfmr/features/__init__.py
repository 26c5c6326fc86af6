"""Features of vibration signals: array in, array out, for NumPy and CuPy alike.

Every function is stateless. It takes a batch whose first axis is the record, works through it in chunks of bounded
memory, and returns the kind of array it was given.
"""

from xfmr.features.columns import FEATURE_COLUMNS, STORED_WIDTH, FeatureColumn, feature_columns
from xfmr.features.health import HEALTH_GRADES, HEALTH_NAMES, health_grade, health_indices
from xfmr.features.images import hetero_image, image_from_planes, log_hetero_image, quantise
from xfmr.features.quiet import N_FINE_BINS, QUIET_PSD_LENGTH, QUIET_SEGMENT, quiet_psd
from xfmr.features.raster import RASTER_SIZE, raster_image, raster_layout
from xfmr.features.scalogram import N_SCALES, cwt_plane
from xfmr.features.sensors import energy_weights, weighted_average
from xfmr.features.spectra import stft, welch
from xfmr.features.spectrogram import LOG_SPECTRUM_LENGTH, LOG_SPECTRUM_SEGMENTS, log_spectrum, stft_plane
from xfmr.features.zerone import TIME_STATISTICS, ZERONE_LENGTH, ZERONE_PANELS, zerone, zerone_names

__all__ = [
    "FEATURE_COLUMNS",
    "HEALTH_GRADES",
    "HEALTH_NAMES",
    "LOG_SPECTRUM_LENGTH",
    "LOG_SPECTRUM_SEGMENTS",
    "N_FINE_BINS",
    "N_SCALES",
    "QUIET_PSD_LENGTH",
    "QUIET_SEGMENT",
    "RASTER_SIZE",
    "STORED_WIDTH",
    "TIME_STATISTICS",
    "ZERONE_LENGTH",
    "ZERONE_PANELS",
    "FeatureColumn",
    "cwt_plane",
    "energy_weights",
    "feature_columns",
    "health_grade",
    "health_indices",
    "hetero_image",
    "image_from_planes",
    "log_hetero_image",
    "log_spectrum",
    "quantise",
    "quiet_psd",
    "raster_image",
    "raster_layout",
    "stft",
    "stft_plane",
    "weighted_average",
    "welch",
    "zerone",
    "zerone_names",
]
