"""RUN/features -> detector: what is normal for each sensor. No label is read.

    python -m jobs.fit_detector --run runs/first --detector bank
    python -m jobs.fit_detector --run runs/first --detector svdd --svdd.objective soft_boundary --svdd.nu 0.05

The bank needs the features alone, Deep SVDD also the encoder of jobs.pretrain.
"""

from __future__ import annotations

import sys

import pyarrow as pa

from jobs.command import run_job, sole_job
from jobs.pretrain import stage_one_history, struck_ids
from xfmr.cluster import cluster
from xfmr.detectors.bank import fit_bank
from xfmr.detectors.svdd import assemble
from xfmr.feature_set import FeatureSet
from xfmr.history import load_clean_harmonics
from xfmr.inputs import ModelInputs
from xfmr.models.checkpoint import from_bytes
from xfmr.progress import say
from xfmr.published import Models, key_of
from xfmr.settings import Settings, save_settings
from xfmr.training.loop import Data, Schedule
from xfmr.training.run import TrainingRun, fit
from xfmr.training.svdd import make_task


@sole_job
def fit_detector(settings: Settings) -> None:
    """Fit the detector asked for and publish it."""
    {"bank": fit_neighbours, "svdd": fit_hypersphere}[settings.detector](settings)


def fit_neighbours(settings: Settings) -> None:
    """Keep a bank of the cleaned history."""
    models, options, rate = Models(settings.store), settings.bank, settings.sample_rate_hz
    features, most = FeatureSet(settings.store), settings.pretrain.max_records
    clean = load_clean_harmonics(features, mains_hz=options.mains_hz, struck=struck_ids(settings), max_records=most)
    key = key_of("bank", options.model_dump(), rate, clean.history.digest())
    if models.is_current("detector", key):
        say("fit_detector", "skipped, the bank of these settings and records is there")
        return
    save_settings(settings)
    bank = fit_bank(clean, mains_hz=options.mains_hz, sample_rate_hz=rate, size=options.size)
    settings.store.write_table(f"models/detector-{key}/set_aside.parquet", pa.Table.from_pandas(clean.set_aside))
    n_bank, n_history, n_aside = len(bank.bank_ids), len(bank.history_ids), len(clean.set_aside)
    path = models.publish("detector", key, bank.to_bytes(), {"kind": "bank", "records": n_bank})
    aside = f"{n_aside} more set aside as unlike the rest of their sensor"
    say("fit_detector", f"bank of {n_bank} of {n_history} records, {aside}; detector in {path}")


def fit_hypersphere(settings: Settings) -> None:
    """Train Deep SVDD from the published encoder."""
    models, options = Models(settings.store), settings.svdd
    encoder = from_bytes(*models.read("pretrain", "jobs.pretrain"), kind="encoder")
    epochs = settings.epochs or options.epochs
    history = stage_one_history(settings).history
    key = key_of(models.current_key("pretrain"), options.model_dump(), epochs, settings.seed, history.digest())
    if models.is_current("detector", key):
        say("fit_detector", "skipped, the detector of these settings and records is there")
        return
    save_settings(settings)
    say("fit_detector", f"Deep SVDD, {options.objective}, {len(history.keys)} records, {epochs} epochs")
    inputs = ModelInputs.restore(encoder.description, encoder.tensors)
    data = Data({"inputs": inputs.scale(history.values, history.keys)})
    with cluster():
        run = TrainingRun(settings.store, "detector", key, settings.workers)
        state = fit(run, make_task(encoder, options), data, Schedule(epochs, options.batch_size, settings.seed))
    detector = assemble(state, encoder, soft=options.objective == "soft_boundary")
    path = models.publish("detector", key, detector.to_bytes(), {"kind": "svdd", **state["progress"]["history"][-1]})
    say("fit_detector", f"radius {float(state['task']['radius']):.4g}; detector in {path}")


if __name__ == "__main__":
    sys.exit(run_job(fit_detector, Settings))
