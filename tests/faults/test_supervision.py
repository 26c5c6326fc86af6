"""Supervision of the classifier: who is in which part, with what weight, and that nothing leaks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archives import Run, fleet_files, time_at, write_archive
from fitted import classifier, inputs_of

import xfmr.faults.supervision
from xfmr.errors import XfmrError
from xfmr.faults.fitting import held_out_quality, load_inputs, sampling_weights, training_data
from xfmr.faults.split import part_of
from xfmr.faults.supervision import SOME_FAULT, Supervision, supervise
from xfmr.schema import KEY
from xfmr.settings.stage_three import FinetuneSettings
from xfmr.views.inputs import NetworkInputs

SETTINGS = FinetuneSettings(pseudo_weight=0.5)


def at(minute: int) -> pd.Timestamp:
    return pd.Timestamp(time_at(minute))


def minutes_of(part: str) -> list[int]:
    return [minute for minute in range(100) if part_of("", "", at(minute)) == part]


TRAIN, VALIDATION, TEST = minutes_of("train"), minutes_of("validation"), minutes_of("test")


def labels_of(*rows: tuple[str, int, str, int]) -> pd.DataFrame:
    """Make what match_records gives, of sensors, minutes, labels and record ids."""
    return pd.DataFrame(
        [("", "", sensor, at(minute), "", label, number) for sensor, minute, label, number in rows],
        columns=[*KEY, "of_unit", "label", "record_id"],
    )


def scores_of(*rows: tuple[str, int, float, str, int]) -> pd.DataFrame:
    """Make scores, of sensors, minutes, scores, pseudo-labels and record ids."""
    return pd.DataFrame(
        [("", "", sensor, at(minute), number, s, word) for sensor, minute, s, word, number in rows],
        columns=[*KEY, "record_id", "score", "pseudo_label"],
    )


@pytest.fixture
def labelled() -> pd.DataFrame:
    return labels_of(
        ("a", TRAIN[0], "worn", 1),
        ("a", TRAIN[1], "normal", 2),
        ("a", VALIDATION[0], "normal", 3),
        ("a", TEST[0], "worn", 4),
        ("a", TEST[1], "cracked", 5),
    )


@pytest.fixture
def scores() -> pd.DataFrame:
    return scores_of(
        ("b", 0, 0.1, "normal", 10),
        ("b", 1, 0.3, "normal", 11),
        ("b", 2, 0.2, "normal", 12),
        ("b", 3, 5.0, "uncertain", 13),
        ("b", 4, 8.0, "anomaly", 14),
        ("b", 5, 9.0, "anomaly", 15),
    )


def known(supervision: Supervision, part: str) -> set[tuple[int, str, float]]:
    """Return record, class and weight of a part's rows."""
    rows = supervision.part(part)
    names = ["some fault" if i == SOME_FAULT else supervision.classes[i] for i in rows["class"]]
    return set(zip(rows["record_id"], names, rows["weight"], strict=True))


def test_people_and_pseudo_labels_together(labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    supervision = supervise(labelled, scores, SETTINGS)
    assert supervision.classes == ("cracked", "normal", "worn")
    assert known(supervision, "train") == {
        *((1, "worn", 1.0), (2, "normal", 1.0)),
        *((10, "normal", 0.5), (11, "normal", 0.5), (12, "normal", 0.5)),
        *((14, "some fault", 0.5), (15, "some fault", 0.5)),
    }
    assert known(supervision, "validation") == {(3, "normal", 1.0)}
    assert known(supervision, "test") == {(4, "worn", 1.0), (5, "cracked", 1.0)}
    assert sorted(supervision.held_out) == [3, 4, 5]


def test_the_surest_pseudo_labels_of_each_end_are_taken(labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    def chosen(most: int) -> set[int]:
        rows = supervise(labelled, scores, FinetuneSettings(max_pseudo_labels=most)).part("train")
        return set(rows["record_id"]) - {1, 2}

    assert chosen(4) == {10, 12, 14, 15}
    assert chosen(2) == {10, 15}
    assert chosen(0) == set()


def test_a_record_that_a_person_labelled_gets_no_pseudo_label(labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    said_by_detector = scores_of(("a", TRAIN[0], 0.0, "normal", 1), ("a", VALIDATION[0], 9.9, "anomaly", 3))
    supervision = supervise(labelled, pd.concat([scores, said_by_detector]), SETTINGS)
    assert known(supervision, "train") == known(supervise(labelled, scores, SETTINGS), "train")


def test_a_copy_of_a_test_signal_under_another_name_stays_out_of_training(
    labelled: pd.DataFrame, scores: pd.DataFrame
) -> None:
    smuggled_label = labels_of(("copy", TRAIN[2], "worn", 4), ("copy", TRAIN[3], "worn", 6))
    smuggled_score = scores_of(("copy2", 7, 99.0, "anomaly", 4), ("copy2", 8, 0.0, "normal", 3))
    supervision = supervise(
        pd.concat([labelled, smuggled_label], ignore_index=True), pd.concat([scores, smuggled_score]), SETTINGS
    )
    training = supervision.part("train")
    assert {1, 2, 6} < set(training["record_id"])
    assert not set(training["record_id"]) & {3, 4, 5}
    assert sorted(supervision.part("test")["sensor_id"]) == ["a", "a", "copy"]


def test_a_leak_is_refused(monkeypatch: pytest.MonkeyPatch, labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Were the split to forget copies of a signal, the check behind it would see it."""
    smuggled = pd.concat([labelled, labels_of(("copy", TRAIN[2], "worn", 4))], ignore_index=True)
    parts = pd.Series(["train", "train", "validation", "test", "test", "train"])
    monkeypatch.setattr(xfmr.faults.supervision, "split", lambda _: parts)
    with pytest.raises(XfmrError, match=r"^1 records held out .* were trained on"):
        supervise(smuggled, scores, SETTINGS)


@pytest.mark.parametrize(
    "rows",
    [
        [("a", TRAIN[0], "normal", 1), ("a", VALIDATION[0], "worn", 2)],
        [("a", TRAIN[0], "worn", 1), ("a", TRAIN[1], "normal", 2), ("a", TEST[0], "worn", 3)],
        [("a", TEST[0], "worn", 1)],
    ],
)
def test_too_few_labels_are_refused(rows: list[tuple[str, int, str, int]], scores: pd.DataFrame) -> None:
    with pytest.raises(XfmrError, match=f"^{len(rows)} labelled records are too few to learn from[^\n]*label more$"):
        supervise(labels_of(*rows), scores, SETTINGS)


def test_digest_and_words_follow_what_is_known(labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    first = supervise(labelled, scores, SETTINGS)
    assert supervise(labelled, scores, SETTINGS).digest() == first.digest()
    others = [
        supervise(labelled.assign(label=["worn", "normal", "worn", "worn", "cracked"]), scores, SETTINGS),
        supervise(labelled.replace({"label": {"worn": "old"}}), scores, SETTINGS),
        supervise(labelled, scores, FinetuneSettings(pseudo_weight=0.25)),
        supervise(labelled, scores[:-1], SETTINGS),
    ]
    assert len({first.digest(), *(other.digest() for other in others)}) == 5
    assert str(first) == "train: 4 normal, 2 some fault, 1 worn; validation: 1 normal; test: 1 cracked, 1 worn"


def test_chances_by_hand() -> None:
    """Two classes, one of them known from people (2 rows) and pseudo-labels (1 row): 1/2, and of that 1/2 each."""
    rows = pd.DataFrame({"class": [0, 0, 0, 2], "pseudo": [False, False, True, False]})
    np.testing.assert_allclose(sampling_weights(rows), [1 / 8, 1 / 8, 1 / 4, 1 / 2])


def test_a_signal_with_two_labels_is_learned_by_neither(labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    twice = labels_of(("a", TRAIN[2], "worn", 10), ("c", TRAIN[3], "normal", 10))
    supervision = supervise(pd.concat([labelled, twice], ignore_index=True), scores, SETTINGS)
    assert not (supervision.rows["record_id"] == 10).any()
    assert supervision.n_people == len(labelled)


def test_pseudo_labels_do_not_swamp_people_whatever_they_weigh(labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    chances = [
        sampling_weights(supervise(labelled, scores, FinetuneSettings(pseudo_weight=weight)).part("train"))
        for weight in (0.5, 1.0)
    ]
    np.testing.assert_array_equal(*chances)


def test_chances_balance_the_classes(labelled: pd.DataFrame, scores: pd.DataFrame) -> None:
    rows = supervise(labelled, scores, SETTINGS).part("train")
    chance = sampling_weights(rows)
    assert chance.sum() == pytest.approx(1)
    np.testing.assert_allclose(pd.Series(chance).groupby(rows["class"]).sum(), 1 / 3)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files(minutes=5))})
    made.featurize()
    return made


@pytest.fixture
def inputs(run: Run) -> NetworkInputs:
    return inputs_of(run)


def rows_of(run: Run, order: list[int], **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(run.table().to_pandas().iloc[order].reset_index(drop=True).assign(**columns))


def test_inputs_are_read_in_the_order_of_the_rows(run: Run, inputs: NetworkInputs) -> None:
    assert len(run.features.groups) == 5
    everything = inputs(run.table("log_spectrum"))
    for order in ([7, 0, 9, 3], [2], list(range(10))):
        np.testing.assert_array_equal(load_inputs(run.features, rows_of(run, order), inputs), everything[order])


def test_a_record_that_is_no_longer_in_the_features_is_an_error(run: Run, inputs: NetworkInputs) -> None:
    stale = rows_of(run, [1, 2])
    stale.loc[1, "sensor_id"] = "gone"
    with pytest.raises(XfmrError, match=r"^1 of 2 [^\n]*run jobs\.score"):
        load_inputs(run.features, stale, inputs)


def test_training_data_is_row_for_row_one_part(run: Run, inputs: NetworkInputs) -> None:
    parts = ["train", "test", "train"]
    rows = rows_of(run, [4, 5, 1], **{"class": [1, 0, -1], "weight": [1.0, 1.0, 0.5], "part": parts})
    data = training_data(run.features, Supervision(rows, ("normal", "worn")), inputs, "train")
    np.testing.assert_array_equal(data.columns["inputs"], inputs(run.table("log_spectrum"))[[4, 1]])
    assert data.columns["classes"].tolist() == [1, -1]
    assert data.columns["weights"].tolist() == [1.0, 0.5]
    assert data.columns["weights"].dtype == np.float32


def test_a_classifier_is_judged_by_the_labels_of_a_part(run: Run, inputs: NetworkInputs) -> None:
    made = classifier(inputs)
    predicted = [made.classes.index(name) for name in made.predict(run.table("log_spectrum"))[0]]
    truth = [predicted[0], predicted[1], (predicted[2] + 1) % 3, predicted[3]]
    rows = rows_of(run, [0, 1, 2, 3], **{"class": truth, "weight": 1.0, "part": "test"})
    supervision = Supervision(rows, made.classes)
    found = held_out_quality(made, run.features, supervision, "test")
    assert (found["records"], found["accuracy"]) == (4, 0.75)
    assert 0 < found["macro_f1"] < 1
    assert held_out_quality(made, run.features, supervision, "validation") == {"records": 0}
