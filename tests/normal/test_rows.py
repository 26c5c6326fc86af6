"""The identity of rows: chosen, looked up and turned back into columns."""

import numpy as np
import pandas as pd

from xfmr.normal import Rows
from xfmr.schema import IDENTITY_COLUMNS

TABLE = pd.DataFrame(
    {
        "fleet": ["b", "a", "b", "a"],
        "unit": ["", "", "", ""],
        "sensor_id": ["1", "2", "1", "1"],
        "data_time": pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC"),
        "record_id": [40, 10, 30, 20],
    }
)


def test_sensors_ascend_and_rows_keep_their_order() -> None:
    rows = Rows.of(TABLE)
    assert rows.sensors == (("a", "", "1"), ("a", "", "2"), ("b", "", "1"))
    assert rows.codes.tolist() == [2, 1, 2, 0]
    assert {sensor: places.tolist() for sensor, places in rows.by_sensor().items()} == {
        ("a", "", "1"): [3],
        ("a", "", "2"): [1],
        ("b", "", "1"): [0, 2],
    }


def test_columns_come_back_as_they_were() -> None:
    frame = Rows.of(TABLE).frame()
    assert list(frame) == IDENTITY_COLUMNS
    assert frame.astype({"data_time": "datetime64[ns, UTC]"}).equals(
        TABLE.astype({"data_time": "datetime64[ns, UTC]"})
    )


def test_chosen_rows_name_only_their_own_sensors() -> None:
    chosen = Rows.of(TABLE)[np.array([True, False, True, False])]
    assert chosen.sensors == (("b", "", "1"),)
    assert chosen.codes.tolist() == [0, 0]
    assert chosen.places_in([("x", "", "1"), ("b", "", "1")]).tolist() == [1, 1]


def test_rows_are_looked_up_by_their_record_ids() -> None:
    """An id beyond the last one, between two, and before the first is not found."""
    places, known = Rows.of(TABLE).find_in(np.array([15, 30, 35]))
    assert known.tolist() == [False, False, True, False]
    assert places[2] == 1
