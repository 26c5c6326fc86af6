"""The models of a run: which trained model of each stage is the current one.

``models/<stage>-<key>`` holds what training made, its key a hash of all it depends on; ``models/<stage>.json`` names
the current one and is switched only when the model's file is in place.
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
from xfmr.storage import Store

MODEL_FILE = "model.safetensors"
_SIGNALS_FILE, _SET_ASIDE_FILE = "signals.json", "set_aside.parquet"

# The job that makes a stage's model.
_JOBS = {"pretrain": "jobs.pretrain", "detector": "jobs.fit_detector", "finetune": "jobs.finetune"}


def key_of(*parts: Any) -> str:
    """Hash what a model depends on: settings, data digests, keys of other models; dataclasses by their fields."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=asdict).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class Models:
    """The models of a run.

    Args:
        store: The run.
    """

    store: Store

    def is_current(self, stage: str, key: str) -> bool:
        """Tell whether this very model is published."""
        return self.current_key(stage) == key

    def current_key(self, stage: str) -> str | None:
        """Return the key of a stage's current model, where there is one."""
        current = self.store.find_json(f"models/{stage}.json")
        return None if current is None else str(current["key"])

    def publish(
        self, stage: str, key: str, model: bytes, facts: Mapping[str, Any], *, signals: Mapping[str, Any]
    ) -> str:
        """Put a model in place and make it the current one.

        Args:
            stage: What it is for.
            key: Hash of all it depends on.
            model: Its file.
            facts: For people.
            signals: What the records are that it was made for, :func:`xfmr.rows.feature_set.signals_of`.

        Returns:
            The file's path.
        """
        name = _file(stage, key)
        self.store.write_json(_file(stage, key, _SIGNALS_FILE), dict(signals))
        self.store.write(name, model)
        self.store.write_json(f"models/{stage}.json", {"key": key, "file": name, **facts})
        return self.store.path(name)

    def required_key(self, stage: str) -> str:
        """Return the key of a stage's current model.

        Raises:
            XfmrError: Where there is none, naming the job that makes it.
        """
        key = self.current_key(stage)
        if key is None:
            raise XfmrError(f"{self.store.path()} has no {stage} model: run {_JOBS[stage]} on it first")
        return key

    def read(self, stage: str) -> tuple[bytes, str]:
        """Return a stage's current model and its path; raises what :meth:`required_key` does."""
        return self.open(stage, self.required_key(stage))

    def open(self, stage: str, key: str) -> tuple[bytes, str]:
        """Return the model of this key, whether it is the current one or not, and its path."""
        name = _file(stage, key)
        return self.store.read(name), self.store.path(name)

    def write_set_aside(self, stage: str, key: str, rows: pd.DataFrame) -> None:
        """Write, before the model itself, the records of its history that it does not learn from."""
        self.store.write_table(_file(stage, key, _SET_ASIDE_FILE), pa.Table.from_pandas(rows))

    def set_aside_ids(self, stage: str) -> NDArray[np.int64]:
        """Return the ids of what :meth:`write_set_aside` wrote for the current model; its scalers may know them."""
        rows = self.store.read_table(_file(stage, self.required_key(stage), _SET_ASIDE_FILE), columns=["record_id"])
        ids: NDArray[np.int64] = rows["record_id"].to_numpy()
        return ids

    def check_signals(self, stage: str, key: str, signals: Mapping[str, Any]) -> None:
        """Refuse a model that was made for other records than these: their features are not comparable.

        Raises:
            XfmrError: Naming the first setting that differs.
        """
        path, made_for = self.store.path(_file(stage, key)), self.store.find_json(_file(stage, key, _SIGNALS_FILE))
        if made_for is None:
            raise XfmrError(f"{path} is of an earlier version: run {_JOBS[stage]} again")
        for name, value in made_for.items():
            if signals.get(name) != value:
                raise XfmrError(
                    f"{path} was made for records of {name} {value}, not {signals.get(name)}: run {_JOBS[stage]} on "
                    f"the features as they are now, or give --{name.replace('_', '-')} {value}"
                )


def _file(stage: str, key: str, name: str = MODEL_FILE) -> str:
    return f"models/{stage}-{key}/{name}"
