"""The review queue: which records a person should label first."""

import pandas as pd

from xfmr.scores.review import review_queue


def scores(values: list[float], words: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"sensor_id": list("abcdefgh")[: len(values)], "score": values, "pseudo_label": words})


def test_review_queue_starts_nearest_to_the_threshold() -> None:
    table = scores([1.0, 4.9, 5.2, 9.0, 4.0], ["normal", "uncertain", "anomaly", "anomaly", "uncertain"])
    queue = review_queue(table, upper=5.0, size=3)
    assert queue["sensor_id"].tolist() == ["b", "c", "e"]
    assert (queue["label"] == "").all()
    assert queue.columns.tolist() == [*table.columns, "label"]
    assert "label" not in table
    assert review_queue(table, upper=5.0, size=100)["sensor_id"].tolist() == ["b", "c", "e", "d"]


def test_review_queue_leaves_out_what_is_normal_and_may_be_empty() -> None:
    assert review_queue(scores([5.0, 5.0], ["normal"] * 2), upper=5.0, size=9).empty
    assert review_queue(scores([5.0, 5.0], ["anomaly"] * 2), upper=5.0, size=0).empty


def test_review_queue_keeps_the_order_of_ties() -> None:
    table = scores([6.0, 4.0, 6.0, 4.0], ["anomaly", "uncertain"] * 2)
    assert review_queue(table, upper=5.0, size=3)["sensor_id"].tolist() == ["a", "b", "c"]


def test_review_queue_of_a_table_put_together_from_parts() -> None:
    table = pd.DataFrame({"score": [1.0, 2.0], "pseudo_label": ["anomaly"] * 2}, index=[0, 0])
    assert len(review_queue(table, upper=1, size=1)) == 1
