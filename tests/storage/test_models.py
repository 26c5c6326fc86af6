"""Which model of a run is the current one: switched at the end, and missed with a word on how to make it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from archives import RECORDING

from xfmr.errors import XfmrError
from xfmr.storage import Store
from xfmr.storage.models import MODEL_FILE, Models, key_of


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(Store(str(tmp_path / "run")))


def test_a_key_follows_from_its_parts_alone() -> None:
    """Pinned: with another hash, a release would train all models of old runs again."""
    assert key_of("spectrum", {"epochs": 3, "nu": 0.05}, None) == key_of("spectrum", {"nu": 0.05, "epochs": 3}, None)
    assert key_of("spectrum", {"epochs": 3, "nu": 0.05}, None) == "c44a7dbd8c90"


@pytest.mark.parametrize(("one", "other"), [(("a", "b"), ("ab",)), ((1,), ("1",)), ((None,), ("None",)), ((), ("",))])
def test_different_parts_have_different_keys(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert key_of(*one) != key_of(*other)


def test_nothing_is_published_at_first(models: Models) -> None:
    assert models.current_key("pretrain") is None
    assert not models.is_current("pretrain", "k1")
    with pytest.raises(XfmrError, match=r"/run has no pretrain model: run jobs\.pretrain on it first$"):
        models.read("pretrain", RECORDING)


def test_the_last_published_is_the_current_one(models: Models) -> None:
    models.publish("pretrain", "k1", b"first", {"loss": 0.5}, recording=RECORDING)
    path = models.publish("pretrain", "k2", b"second", {"loss": 0.25}, recording=RECORDING)
    assert models.is_current("pretrain", "k2")
    assert not models.is_current("pretrain", "k1")
    assert models.read("pretrain", RECORDING) == (b"second", path)
    assert Path(path).read_bytes() == b"second"
    assert models.store.read_json("models/pretrain.json")["loss"] == 0.25
    assert models.current_key("detector") is None


def test_a_model_whose_writing_fails_does_not_become_current(models: Models) -> None:
    models.publish("pretrain", "k1", b"first", {}, recording=RECORDING)
    Path(models.store.path("models/pretrain-k2")).write_text("a file where the folder should be")
    with pytest.raises(XfmrError, match="cannot write"):
        models.publish("pretrain", "k2", b"second", {}, recording=RECORDING)
    assert models.read("pretrain", RECORDING)[0] == b"first"


def test_a_model_that_was_removed_is_missed_by_name(models: Models) -> None:
    path = models.publish("pretrain", "k1", b"first", {}, recording=RECORDING)
    Path(path).unlink()
    with pytest.raises(XfmrError, match=f"^cannot read [^\n]*pretrain-k1/{MODEL_FILE}"):
        models.read("pretrain", RECORDING)


def test_a_model_for_other_records_is_refused(models: Models) -> None:
    models.publish("pretrain", "k1", b"first", {}, recording=RECORDING)
    models.open("pretrain", "k1", RECORDING)
    words = r"k1/model\.safetensors was made for records of record_length 8192, not 4096: run jobs\.pretrain on "
    with pytest.raises(XfmrError, match=words):
        models.open("pretrain", "k1", replace(RECORDING, record_length=4096))


def test_a_model_of_an_earlier_version_is_refused(models: Models) -> None:
    models.publish("detector", "k1", b"first", {}, recording=RECORDING)
    models.store.remove("models/detector-k1/signals.json")
    with pytest.raises(XfmrError, match=r"is of an earlier version: run jobs\.fit_detector again$"):
        models.open("detector", "k1", RECORDING)


def test_what_was_set_aside_is_found_again(models: Models) -> None:
    models.write_set_aside("pretrain", "k1", pd.DataFrame({"record_id": [3, -1], "distance": [0.5, 2.0]}))
    models.publish("pretrain", "k1", b"first", {}, recording=RECORDING)
    assert models.set_aside_ids("pretrain").tolist() == [3, -1]


def test_a_damaged_pointer_is_named(models: Models) -> None:
    models.publish("pretrain", "k1", b"first", {}, recording=RECORDING)
    models.store.write("models/pretrain.json", b'{"key": ')
    with pytest.raises(XfmrError, match=r"models/pretrain\.json is damaged[^\n]*$"):
        models.current_key("pretrain")
