"""New archive -> score, pseudo-label, fault type and confidence of every record, in one file.

    python -m jobs.diagnose --run runs/first --archive data/new --out new.parquet

Kill it at any moment and run it again: finished groups are skipped. What could not be read stands in
RUN/diagnosed/<key>/quarantine.
"""

from __future__ import annotations

import sys

from jobs.command import run_job
from jobs.groups import list_files, plan, process
from xfmr.archive import parse_archives
from xfmr.diagnosis import DiagnosisRows, GroupDiagnoser, Instruments, check_output, forgiven, merge, write_output
from xfmr.progress import say
from xfmr.rows.feature_set import close
from xfmr.settings import DiagnoseSettings
from xfmr.storage.lease import sole_driver
from xfmr.storage.models import key_of


def diagnose(settings: DiagnoseSettings) -> None:
    """Diagnose a new archive with the models of a run."""
    check_output(settings.out)
    run, archives = settings.store, parse_archives(settings.required_archive())
    instruments = Instruments.current(run)
    rows = (run, instruments, settings.sample_rate_hz, settings.record_length)
    DiagnosisRows(*rows)  # whatever is missing or damaged shows here, before any work
    files = list_files(archives, run=settings.run, label="diagnose")
    key = key_of(archives, rows[1:])
    work = run.child(f"diagnosed/{key}")
    args = (work, archives, rows)
    with sole_driver(work):
        pending = plan(work, files, archives, key=key, group_bytes=settings.group_bytes, label="diagnose")
        process(pending, GroupDiagnoser, label="diagnose", constructor_args=args)
        counts = close(work)
        diagnoses = merge(work)
        if settings.forgive_daily:
            diagnoses = forgiven(diagnoses, instruments.thresholds)
        write_output(diagnoses, settings.out)
    n_anomalies = diagnoses["pseudo_label"].to_pylist().count("anomaly")
    say("diagnose", f"{counts}; {n_anomalies} anomalies; written to {settings.out}")


if __name__ == "__main__":
    sys.exit(run_job(diagnose, DiagnoseSettings, inherit_archive=False))
