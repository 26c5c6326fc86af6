"""The models of a run, and which one of each stage is current.

``models/<stage>-<key>`` holds a trained model; its key is a hash of all that it depends on. ``models/<stage>.json``
names the current one and is switched only after the model's file is in place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.errors import XfmrError
from xfmr.schema import Recording
from xfmr.storage.store import Store

MODEL_FILE = "model.safetensors"
_RECORDING_FILE, _SET_ASIDE_FILE = "signals.json", "set_aside.parquet"

# The job that makes a stage's model.
_JOBS = {"pretrain": "jobs.pretrain", "detector": "jobs.fit_detector", "finetune": "jobs.finetune"}


def key_of(*parts: Any) -> str:
    """Hash what a model depends on: settings, digests of data, keys of other models; dataclasses by their fields."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=asdict).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class Models:
    """The models of a run.

    Args:
        store: The run.
    """

    store: Store

    def is_current(self, stage: str, key: str) -> bool:
        """Return True if the model of this key is the current one."""
        return self.current_key(stage) == key

    def current_key(self, stage: str) -> str | None:
        """Return the key of a stage's current model, None if there is none."""
        current = self.store.find_json(f"models/{stage}.json")
        return None if current is None else str(current["key"])

    def required_key(self, stage: str) -> str:
        """Return the key of a stage's current model.

        Raises:
            XfmrError: If there is none, naming the job that makes it.
        """
        key = self.current_key(stage)
        if key is None:
            raise XfmrError(f"{self.store.path()} has no {stage} model: run {_JOBS[stage]} on it first")
        return key

    def publish(self, stage: str, key: str, model: bytes, summary: Mapping[str, Any], *, recording: Recording) -> str:
        """Write a model and make it the current one.

        Args:
            stage: The stage that the model is for.
            key: Hash of all that it depends on.
            model: The content of its file.
            summary: Figures for people.
            recording: The recording that it was made for.

        Returns:
            The file's path.
        """
        name = _file(stage, key)
        self.store.write_json(_file(stage, key, _RECORDING_FILE), asdict(recording))
        self.store.write(name, model)
        self.store.write_json(f"models/{stage}.json", {"key": key, "file": name, **summary})
        return self.store.path(name)

    def read(self, stage: str, recording: Recording) -> tuple[bytes, str]:
        """Read a stage's current model; raises what :meth:`required_key` and :meth:`open` do."""
        return self.open(stage, self.required_key(stage), recording)

    def open(self, stage: str, key: str, recording: Recording) -> tuple[bytes, str]:
        """Read the model of a key, current or not.

        Args:
            stage: The stage.
            key: The model's key.
            recording: The recording that it is to be used for.

        Returns:
            The content of its file, and the file's path.

        Raises:
            XfmrError: If it was made for another recording, naming the first setting that differs, or cannot be read.
        """
        self._check_recording(stage, key, recording)
        name = _file(stage, key)
        return self.store.read(name), self.store.path(name)

    def write_set_aside(self, stage: str, key: str, records: pd.DataFrame) -> None:
        """Write the records of a model's history that it does not learn from, before the model itself."""
        self.store.write_table(_file(stage, key, _SET_ASIDE_FILE), pa.Table.from_pandas(records))

    def set_aside_ids(self, stage: str) -> NDArray[np.int64]:
        """Return the ids of the records set aside for the current model; its scalers may have seen them."""
        name = _file(stage, self.required_key(stage), _SET_ASIDE_FILE)
        ids: NDArray[np.int64] = self.store.read_table(name, columns=["record_id"])["record_id"].to_numpy()
        return ids

    def _check_recording(self, stage: str, key: str, recording: Recording) -> None:
        path, made_for = self.store.path(_file(stage, key)), self.store.find_json(_file(stage, key, _RECORDING_FILE))
        if made_for is None:
            raise XfmrError(f"{path} is of an earlier version: run {_JOBS[stage]} again")
        for name, value in asdict(recording).items():
            if made_for.get(name) != value:
                raise XfmrError(
                    f"{path} was made for records of {name} {made_for.get(name)}, not {value}: run {_JOBS[stage]} on "
                    f"the features as they are now, or give --{name.replace('_', '-')} {made_for.get(name)}"
                )


def _file(stage: str, key: str, name: str = MODEL_FILE) -> str:
    return f"models/{stage}-{key}/{name}"
