"""Rows of features: their columns, their length, and the mark of a dead sensor."""

import json
from pathlib import Path

import numpy as np
import pytest
from archives import N_VALUES, RECORDING, SAMPLE_RATE_HZ, Run, line, time_at, values_of, write_archive

from xfmr import features
from xfmr.archive.units import Source
from xfmr.records import Record
from xfmr.rows.features import VALUE_COLUMNS, FeatureRows, features_schema
from xfmr.rows.writer import BATCH_RECORDS, Batch
from xfmr.schema import to_numpy


def batch_of(*records: Record) -> Batch:
    return Batch.of([(Source("", "", "a"), record) for record in records])


def test_value_columns_are_those_of_the_features(tmp_path: Path) -> None:
    """More records than one batch, each with its own values and in the order of the lines."""
    n = BATCH_RECORDS + 2
    archive = write_archive(tmp_path / "archive", {"a.jsonl": (line("s", i, 1 + i % 3) for i in range(n))})
    run = Run(tmp_path / "run", {"": archive}, columns=tuple(VALUE_COLUMNS))
    run.featurize()
    table = run.store.read_table(run.rows.file(run.features.groups[0]))
    assert table.schema.equals(features_schema(8192))
    assert table["line"].to_pylist() == list(range(1, n + 1))
    signals = np.zeros((3, 8192), np.float32)
    signals[:, :N_VALUES] = [values_of(seed) for seed in (1, 2, 3)]
    order = np.arange(n) % 3
    for name, expected in {
        "zerone": features.zerone(signals, sample_rate_hz=SAMPLE_RATE_HZ),
        "log_spectrum": features.log_spectrum(signals, sample_rate_hz=SAMPLE_RATE_HZ),
        "health": features.health_indices(signals, sample_rate_hz=SAMPLE_RATE_HZ),
    }.items():
        np.testing.assert_allclose(to_numpy(table, name), expected[order], rtol=1e-4, atol=1e-6)
    for name, shape, plane in [
        ("cwt", (128, 224), features.cwt_plane(signals)),
        ("stft", (129, 63), features.stft_plane(signals)),
    ]:
        stored = to_numpy(table, name, shape).astype(int)
        assert np.abs(stored - features.quantise(plane)[order]).max() <= 1


@pytest.mark.parametrize("record_length", [4096, 65536])
def test_records_of_any_length(tmp_path: Path, record_length: int) -> None:
    """A short record is padded, a long one cut, and every column follows the length."""
    rng = np.random.default_rng(record_length)
    texts = [",".join(map(str, np.round(rng.standard_normal(n), 3))) for n in (100, record_length, record_length + 9)]
    records = [{"sensor_id": "s", "data_time": 1e9 + i, "signal_value": text} for i, text in enumerate(texts)]
    lines = [json.dumps(record).encode() for record in records]
    archive = write_archive(tmp_path / "archive", {"a.jsonl": lines})
    run = Run(tmp_path / "run", {"": archive}, columns=VALUE_COLUMNS, record_length=record_length)
    run.featurize()
    table = run.store.read_table(run.rows.file(run.features.groups[0]))
    assert table["n_samples"].to_pylist() == [100, record_length, record_length + 9]
    signals = to_numpy(table, "signal")
    assert signals.shape == (3, record_length)
    assert not signals[0, 100:].any()
    np.testing.assert_array_equal(signals[2], np.float32(texts[2].split(","))[:record_length])
    expected = features.feature_columns(signals, sample_rate_hz=SAMPLE_RATE_HZ)
    np.testing.assert_array_equal(to_numpy(table, "cwt", (128, 224)), expected["cwt"])
    np.testing.assert_array_equal(to_numpy(table, "stft", expected["stft"].shape[1:]), expected["stft"])
    np.testing.assert_array_equal(to_numpy(table, "zerone"), expected["zerone"])


def test_only_the_columns_asked_for_are_computed() -> None:
    record = Record("", "s", time_at(0), np.ones(8192, np.float32), 8192, 1)
    make_rows = FeatureRows(RECORDING, columns=["log_spectrum"])
    (rows,) = make_rows.tables([batch_of(record)])
    assert rows.schema == make_rows.schema
    assert set(VALUE_COLUMNS) & set(rows.column_names) == {"log_spectrum"}
    assert rows["flat"].to_pylist() == [True]


@pytest.mark.parametrize("n", [1, 2, 8192, 9000])
def test_flat_regards_only_values_that_were_there(n: int) -> None:
    """A constant that is padded with zeros is a dead sensor all the same."""
    signal = np.zeros(8192, np.float32)
    signal[:n] = 0.5
    alive = signal.copy()
    alive[0] = 0.25
    batch = batch_of(*(Record("", "s", time_at(0), x, n, 1) for x in (signal, alive)))
    (rows,) = FeatureRows(RECORDING, columns=[]).tables([batch])
    assert rows["flat"].to_pylist() == [True, n == 1]
