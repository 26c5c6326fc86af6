"""Records per second, start-up time and memory of jobs.featurize on a whole archive, against one process without Ray.

    python -m bench.archive [RECORDS]

The same records come in three forms: many small files, one long file, and a mix that is partly compressed. A second
archive with a quarter of the records shows whether memory grows with their number. The benchmark needs twice 70 kB of
disk per record.

Compare ratios: one process and the cluster run one after the other. Other users of the machine slow both down, so the
table also gives the CPU time per record, Ray's own processes included.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as Ray sets them for its workers

import gzip
import shutil
import sys
import tempfile
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from bench.processes import Sample, watch
from jobs.featurize import featurize, rows_of
from xfmr.archive import list_archive
from xfmr.archive.ledger import Ledger
from xfmr.rows.row_set import RowSet
from xfmr.rows.writer import GroupWriter
from xfmr.settings import Settings
from xfmr.synth import FleetSpec, write_fleet

RECORDS = 20_000
SENSORS, TIMES = 4, 50

Form = Callable[[list[Path], Path], None]


@dataclass(frozen=True)
class Measured:
    """Cost of one run.

    Attributes:
        records_a_second: Rate between the end of the first group and the end of the last.
        cpu_ms: CPU time per record in that interval, all processes together.
        first_group_s: Time from the start of the command to the end of the first group.
        first_cpu_s: CPU time until then, all processes together.
        peak_mb: Peak memory, all processes together.
    """

    records_a_second: float
    cpu_ms: float
    first_group_s: float
    first_cpu_s: float
    peak_mb: float


def small_files(files: list[Path], folder: Path) -> None:
    """Link the files as the fleet wrote them, with about nine records each."""
    for i, path in enumerate(files):
        os.link(path, folder / f"{i:06}.jsonl")


def one_file(files: list[Path], folder: Path) -> None:
    """Put all records into one file."""
    with (folder / "all.jsonl").open("wb") as out:
        for path in files:
            out.write(path.read_bytes())


def mix(files: list[Path], folder: Path) -> None:
    """Put half of the files into one file and a tenth into a compressed one, and link the rest."""
    half, tenth = len(files) // 2, len(files) // 10
    one_file(files[:half], folder)
    with gzip.open(folder / "packed.jsonl.gz", "wb", compresslevel=1) as out:
        for path in files[half : half + tenth]:
            out.write(path.read_bytes())
    small_files(files[half + tenth :], folder)


FORMS: dict[str, Form] = {"small files": small_files, "one file": one_file, "mix": mix}


def run_featurize(archive: Path, run: Path, n_cores: int) -> None:
    """Run the job on a local Ray with `n_cores` CPUs.

    Raises:
        SystemExit: Ray spilled objects to disk.
    """
    context: Any = ray.init(
        address="local",
        num_cpus=n_cores,
        _node_ip_address="127.0.0.1",
        include_dashboard=False,
        log_to_driver=False,
    )
    featurize(Settings(run=str(run), archive=[str(archive)]))
    session = Path(context.address_info["session_dir"])
    spilled = [
        path for folder in session.glob("ray_spilled_objects*") for path in folder.rglob("*") if path.is_file()
    ]
    if spilled:
        raise SystemExit(f"Ray spilled {len(spilled)} files of objects")


def run_alone(archive: Path, run: Path) -> None:
    """Process the groups one after the other in this process, as the cluster's workers do.

    The lines of a long file are not counted first, so line numbers are wrong. Nothing else differs.
    """
    settings = Settings(run=str(run), archive=[str(archive)])
    rows = RowSet(settings.store)
    groups, _ = rows.update_plan(list_archive("", str(archive)), key="", group_bytes=settings.group_bytes)
    writer = GroupWriter(rows, {"": str(archive)}, lambda: rows_of(settings))
    for group in groups:
        writer(group.to_json())


def measure(mode: str, archive: Path, *, n_cores: int) -> Measured:
    """Run featurize in a process of its own, alone or on the cluster, and return its cost."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        run = Path(folder) / "run"
        argv = [sys.executable, "-m", "bench.archive", mode, str(archive), str(run), str(n_cores)]
        samples = watch(argv, n_cores=n_cores)
        return measured(samples, run)


def measured(samples: Sequence[Sample], run: Path) -> Measured:
    """Compute the cost of a run from the times of its receipts."""
    signed = sorted((path.stat().st_mtime, path.stem) for path in (run / "ledger").iterdir())
    records = {name: receipt.records for name, receipt in Ledger(Settings(run=str(run)).store).receipts().items()}
    (first, first_group), (last, _) = signed[0], signed[-1]
    n_records = sum(records.values()) - records[first_group]
    first_cpu_s = _at(samples, first).cpu_s
    cpu_ms = 1e3 * (_at(samples, last).cpu_s - first_cpu_s) / n_records
    peak_mb = max(sample.pss_mb for sample in samples)
    return Measured(n_records / (last - first), cpu_ms, first - samples[0].time, first_cpu_s, peak_mb)


def _at(samples: Sequence[Sample], time: float) -> Sample:
    return samples[min(bisect(samples, time, key=lambda sample: sample.time), len(samples) - 1)]


HEAD = ["cores", "alone", "cluster", "of cores", "alone", "cluster", "group, s", "CPU s", "alone", "cluster"]


def show(name: str, archive: Path, cores: Iterable[int]) -> None:
    """Print one line for each number of cores."""
    alone = measure("alone", archive, n_cores=1)
    for n in cores:
        cluster = measure("featurize", archive, n_cores=n)
        share = cluster.records_a_second / alone.records_a_second / n
        rates = [f"{alone.records_a_second:.0f}", f"{cluster.records_a_second:.0f}", f"{share:.0%}"]
        costs = [f"{alone.cpu_ms:.2f}", f"{cluster.cpu_ms:.2f}"]
        start = [f"{cluster.first_group_s:.1f}", f"{cluster.first_cpu_s:.1f}"]
        memory = [f"{alone.peak_mb:.0f}", f"{cluster.peak_mb:.0f}"]
        print_line(name, [str(n), *rates, *costs, *start, *memory])


def print_line(name: str, cells: Sequence[str]) -> None:
    """Print a line of the table."""
    print(f"{name:20}" + "".join(f"{cell:>10}" for cell in cells), flush=True)


def main(n_records: int) -> None:
    """Print the table."""
    print_line("", ["", "records/s", "", "", "CPU ms a", "record", "first", "", "peak MB", ""])
    print_line("", HEAD)
    every = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        for n, cores in ((n_records // 4, sorted({1, every})), (n_records, [every])):
            fleet = write_fleet(FleetSpec(-(-n // SENSORS // TIMES), SENSORS, TIMES), Path(folder) / f"fleet{n}")
            files = sorted(fleet.archive.rglob("*.jsonl"))
            for name, form in FORMS.items():
                archive = Path(folder) / "archive"
                archive.mkdir()
                form(files, archive)
                show(f"{fleet.n_records} {name}", archive, cores)
                shutil.rmtree(archive)
            shutil.rmtree(fleet.archive)


def command(mode: str, archive: Path, run: Path, n_cores: int) -> None:
    """Run featurize in this process, alone or on a local cluster."""
    if mode == "alone":
        run_alone(archive, run)
    else:
        run_featurize(archive, run, n_cores)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        command(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS)
