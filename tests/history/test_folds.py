"""Folds: stretches of time, samples whole, copies together, and no fold that holds everything."""

import numpy as np
import pytest
from identities import rows_of

from xfmr.history.folds import time_folds
from xfmr.normal import SensorKey

A, B, C = ("", "a"), ("", "b"), ("", "c")


def folds(keys: list[SensorKey], n_folds: int = 5, ids: np.ndarray | None = None) -> list[int]:
    return time_folds(rows_of(keys, ids=ids), n_folds).tolist()


def test_a_fold_is_a_stretch_of_each_sensors_time() -> None:
    assert folds([A] * 10 + [B] * 5) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 1, 2, 3, 4]


def test_sensors_of_one_length_are_cut_at_the_same_places() -> None:
    found = folds([A] * 37 + [B] * 37)
    assert found[:37] == found[37:]
    assert sorted(set(found)) == [0, 1, 2, 3, 4]


def test_sensors_with_hardly_a_record_fill_different_folds() -> None:
    assert folds([A, B, C], 2) == [0, 1, 0]
    assert folds([A, A]) == [0, 2]


def test_copies_of_a_signal_are_in_one_fold() -> None:
    """Else the member that scores the one as unseen would have learned the other."""
    ids = np.array([7, 8, 9, 10, 10, 9, 8, 7])
    found = np.array(folds([A] * 4 + [B] * 4, 4, ids))
    assert found.tolist() == [0, 1, 2, 3, 3, 2, 1, 0]


@pytest.mark.parametrize("n_folds", [2, 5])
def test_no_fold_holds_all_records(n_folds: int) -> None:
    for keys in ([A, B], [A, A], [A, B, C], [A] * 3 + [B]):
        assert len(set(folds(keys, n_folds))) > 1
