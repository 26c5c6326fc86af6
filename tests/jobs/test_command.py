"""How a job ends: its exit status and what a person reads on the console."""

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.command import run_job
from xfmr.errors import XfmrError
from xfmr.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["jobs/test.py", "--run", "run", "--seed", "7"])


def test_a_job_gets_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    seeds: list[int] = []
    assert run_job(lambda settings: seeds.append(settings.seed), Settings) == 0
    assert seeds == [7]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (XfmrError("cannot read a:\n  it is gone"), 2, "error: cannot read a: it is gone\n"),
        (KeyboardInterrupt(), 130, "interrupted: run the same command again to go on\n"),
    ],
)
def test_what_a_person_can_mend_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, words: str
) -> None:
    def fail(settings: Settings) -> None:
        raise error

    assert run_job(fail, Settings) == status
    assert capsys.readouterr().err == words


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run_job(lambda settings: 1 / (settings.seed - 7), Settings)


def test_the_command_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.featurize", "--run", str(tmp_path / "run"), "--archive", "/absent"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: archive /absent does not exist: check the path given to --archive\n"
    assert done.stdout == ""
    assert not (tmp_path / "run").exists()
