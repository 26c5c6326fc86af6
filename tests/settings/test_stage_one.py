"""The table of what goes with what: --help shows it, and settings refuse the rest in a line."""

import re
from typing import get_args

import pytest

from xfmr.errors import XfmrError
from xfmr.settings import Settings, read_settings
from xfmr.settings.stage_one import DEFAULT_FOLDS, DETECTORS, Branch, DetectorKind, Objective

BRANCHES, OBJECTIVES = get_args(Branch), get_args(Objective)
ALL = [(kind, branch, objective) for kind in DETECTORS for branch in BRANCHES for objective in OBJECTIVES]


def exists(kind: DetectorKind, branch: Branch, objective: Objective) -> bool:
    if kind == "ensemble":
        return exists("svdd", branch, objective) and exists("vae", branch, objective)
    possible = DETECTORS[kind]
    return branch in (possible.branches or BRANCHES) and objective in (possible.objectives or OBJECTIVES)


def read(*argv: str) -> Settings:
    return read_settings(Settings, ["--run", "run", *argv], prog="test")


def test_every_kind_and_branch_is_in_the_tables() -> None:
    assert set(DETECTORS) == set(get_args(DetectorKind))
    assert set(DEFAULT_FOLDS) == set(BRANCHES)


@pytest.mark.parametrize(("kind", "branch", "objective"), ALL)
def test_settings_take_what_there_is_and_refuse_the_rest(
    kind: DetectorKind, branch: Branch, objective: Objective
) -> None:
    argv = "--detector", kind, "--branch", branch, "--pretrain.objective", objective
    if exists(kind, branch, objective):
        assert read(*argv).detector == kind
    else:
        with pytest.raises(XfmrError, match=r"^there is no \w+ for --[^\n]*: give one of [^\n]*$"):
            read(*argv)


def test_help_shows_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--help")
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "vae: error of a variational autoencoder (branches spectrum, zerone, image, raster)" in shown
    for kind, possible in DETECTORS.items():
        assert f"{kind}: {possible.summary}" in shown


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ("svdd", "NAME=WEIGHT"),
        ("", "NAME=WEIGHT"),
        ("svdd=0", "weight above 0"),
        ("svdd=nan", "weight above 0"),
        ("svdd=1,svdd=2", "each name once"),
        ("ensemble=1", "can have the members bank, ae, svdd, vae"),
        ("sound=1", "can have the members bank, ae, svdd, vae"),
    ],
)
def test_members_that_cannot_be_are_refused(members: str, words: str) -> None:
    with pytest.raises(XfmrError, match=r"^--ensemble\.members: [^\n]*$") as error:
        read("--ensemble.members", members)
    assert words in str(error.value)


def test_members_and_what_they_need() -> None:
    assert read("--detector", "ensemble").ensemble.weights == {"svdd": 0.6, "vae": 0.4}
    assert read("--detector", "ensemble").detector_needs_encoders
    chosen = read("--detector", "ensemble", "--ensemble.members", "vae=1, bank=3")
    assert chosen.ensemble.weights == {"bank": 3.0, "vae": 1.0}
    assert not chosen.detector_needs_encoders


def test_folds_are_given_or_the_branchs_own() -> None:
    assert (read().n_folds, read("--branch", "dual").n_folds, read("--folds", "3").n_folds) == (5, 2, 3)
    with pytest.raises(XfmrError, match="--folds"):
        read("--folds", "1")
