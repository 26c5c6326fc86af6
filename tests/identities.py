"""Rows for tests, from lists of sensors."""

from collections.abc import Sequence

import numpy as np

from xfmr.normal import Rows, SensorKey

START = np.datetime64("2024-01-01", "us")


def rows_of(keys: Sequence[SensorKey], *, ids: np.ndarray | None = None, times: np.ndarray | None = None) -> Rows:
    """Make rows of sensors; by default each record has its position as id, and is a minute after the one before."""
    sensors = sorted(set(keys))
    position = {sensor: code for code, sensor in enumerate(sensors)}
    codes = np.array([position[key] for key in keys], np.int64)
    order = np.arange(len(keys))
    minutes = START + order.astype("timedelta64[m]")
    when = minutes if times is None else times.astype("datetime64[us]")
    return Rows(order if ids is None else ids, codes, tuple(sensors), when)
