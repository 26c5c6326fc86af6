"""Estimate of the time and space to process an archive, from a sample of its lines that is processed on the spot.

Times are those of one thread without Ray: CPU time to parse, compute and encode a record, and wall time to read its
bytes, which on an object store is mostly latency. Nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from threadpoolctl import threadpool_limits

from xfmr.archive.plan import Group
from xfmr.features import FEATURE_COLUMNS, feature_columns
from xfmr.features.device import gpu
from xfmr.rows.features import FeatureRows
from xfmr.rows.files import encode_rows
from xfmr.rows.sample import Sample, clock_time, cpu_time, read_sample
from xfmr.rows.writer import Batch


@dataclass(frozen=True)
class Estimate:
    """Time and space to process some groups.

    Attributes:
        n_records: Records in the groups.
        bytes_out: Size of their rows.
        features_s: Time of one core to compute the features, in seconds.
        gpu_s: Time of one GPU to compute them; None if there is no GPU to measure.
        other_s: Time of one core for the rest.
        n_sampled: Records that were processed for this estimate.
    """

    n_records: float
    bytes_out: float
    features_s: float
    gpu_s: float | None
    other_s: float
    n_sampled: int

    def on_cores(self, n: int) -> float:
        """Return the time on n cores, in seconds."""
        return (self.features_s + self.other_s) / n

    def on_gpus(self, n: int) -> tuple[float, int] | None:
        """Return the time on n GPUs, in seconds, and the number of cores that keep them busy."""
        return None if self.gpu_s is None else (self.gpu_s / n, max(n, math.ceil(n * self.other_s / self.gpu_s)))


def estimate(groups: Sequence[Group], archives: Mapping[str, str], rows: FeatureRows) -> Estimate:
    """Estimate the time and space to process some groups.

    Args:
        groups: At least one.
        archives: URI of each fleet's archive.
        rows: Makes the rows.

    Raises:
        XfmrError: If the sample cannot be read or holds no usable record.
    """
    with threadpool_limits(1):  # as in Ray's workers
        return _estimate(groups, read_sample(groups, archives, record_length=rows.record_length), rows)


def _estimate(groups: Sequence[Group], sample: Sample, rows: FeatureRows) -> Estimate:
    lines, n_lines = sum(map(sample.lines_in, groups)), sample.lines.total()
    n_records = lines * sample.n_usable / n_lines
    each, each_line = n_records / sample.n_records, lines / n_lines
    tables, features_s, gpu_s = _computed(rows, sample.batches)
    sink = pa.BufferOutputStream()
    _, write_s = cpu_time(lambda: encode_rows(tables, rows.schema, sink))
    return Estimate(
        n_records=n_records,
        bytes_out=sink.getvalue().size * each,
        features_s=features_s * each,
        gpu_s=None if gpu_s is None else gpu_s * each,
        other_s=(sample.read_s + sample.parse_s) * each_line + write_s * each,
        n_sampled=sample.n_records,
    )


def _computed(rows: FeatureRows, batches: list[Batch]) -> tuple[list[pa.Table], float, float | None]:
    """Return the rows of some batches, their CPU time and, if there is a GPU, its wall time."""
    list(rows.tables(batches[:1]))  # builds the kernels before the clock starts
    if gpu() is None:
        return *cpu_time(lambda: list(rows.tables(batches))), None
    tables, gpu_s = clock_time(lambda: list(rows.tables(batches)))
    names = [name for name in FEATURE_COLUMNS if name in rows.columns]

    def on_the_cpu() -> None:
        for batch in batches:
            feature_columns(batch.signals, sample_rate_hz=rows.recording.sample_rate_hz, columns=names)

    on_the_cpu()
    return tables, cpu_time(on_the_cpu)[1], gpu_s


def duration(seconds: float) -> str:
    """Return a time in a convenient unit: ``0.4 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    for limit, divisor, unit in ((100, 1, "s"), (100 * 60, 60, "min"), (72 * 3600, 3600, "h")):
        if seconds < limit:
            value = seconds / divisor
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"
