"""New archive -> score, pseudo-label, fault type and confidence of every record, in one file.

    python -m jobs.diagnose --run runs/first --archive data/new --out new.parquet

Kill it at any moment and run it again: finished groups are skipped. Lines that could not be read are in
RUN/diagnosed/<key>/quarantine.
"""

from __future__ import annotations

import sys
from functools import partial

from jobs.command import run_job
from jobs.groups import list_files, plan, process
from xfmr.archive import parse_archives
from xfmr.diagnosis import DiagnosisRows, Instruments, check_output, forgiven, merge, write_output
from xfmr.progress import say
from xfmr.rows.row_set import DIAGNOSED, RowSet
from xfmr.rows.writer import GroupWriter
from xfmr.schema import PseudoLabel, Recording
from xfmr.settings import DiagnoseSettings
from xfmr.storage.lease import sole_driver
from xfmr.storage.models import key_of


def diagnose(settings: DiagnoseSettings) -> None:
    """Diagnose a new archive with the models of a run."""
    check_output(settings.out)
    run, archives = settings.store, parse_archives(settings.required_archive())
    instruments, recording = Instruments.current(run), Recording(settings.sample_rate_hz, settings.record_length)
    make_rows = partial(DiagnosisRows, run, instruments, recording)
    make_rows()  # raises before any work if a model is missing or damaged
    files = list_files(archives, settings.units, run=settings.run, label="diagnose")
    key = key_of(archives, (instruments, recording.sample_rate_hz, recording.record_length), settings.units)
    rows = RowSet(run.child(f"diagnosed/{key}"), DIAGNOSED)
    with sole_driver(rows.store):
        pending = plan(rows, files, archives, key=key, group_bytes=settings.group_bytes, label="diagnose")
        process(pending, GroupWriter, label="diagnose", constructor_args=(rows, archives, make_rows, settings.units))
        counts = rows.close(unit_from=settings.unit_from)
        diagnoses = merge(rows.store)
        if settings.forgive_daily:
            diagnoses = forgiven(diagnoses, instruments.thresholds)
        write_output(diagnoses, settings.out)
    n_anomalies = diagnoses["pseudo_label"].to_pylist().count(PseudoLabel.ANOMALY)
    say("diagnose", f"{counts}; {n_anomalies} anomalies; written to {settings.out}")


if __name__ == "__main__":
    sys.exit(run_job(diagnose, DiagnoseSettings, inherit_archive=False))
