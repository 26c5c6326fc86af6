"""The models of a run: which trained model of each stage is the current one.

``models/<stage>-<key>`` holds what training made, its key a hash of all it depends on; ``models/<stage>.json`` names
the current one and is switched only when the model's file is in place.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from xfmr.errors import XfmrError
from xfmr.storage import Store

MODEL_FILE = "model.safetensors"


def key_of(*parts: Any) -> str:
    """Hash what a model depends on: settings, data digests, keys of other models."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


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

    def publish(self, stage: str, key: str, model: bytes, facts: dict[str, Any]) -> str:
        """Put a model in place and make it the current one; ``facts`` are for people. Returns its path."""
        name = f"models/{stage}-{key}/{MODEL_FILE}"
        self.store.write(name, model)
        self.store.write_json(f"models/{stage}.json", {"key": key, "file": name, **facts})
        return self.store.path(name)

    def required_key(self, stage: str, job: str) -> str:
        """Return the key of a stage's current model.

        Raises:
            XfmrError: Where there is none, naming the job that makes it.
        """
        key = self.current_key(stage)
        if key is None:
            raise XfmrError(f"{self.store.path()} has no {stage} model: run {job} on it first")
        return key

    def read(self, stage: str, job: str) -> tuple[bytes, str]:
        """Return a stage's current model and its path; raises what :meth:`required_key` does."""
        return self.open(stage, self.required_key(stage, job))

    def open(self, stage: str, key: str) -> tuple[bytes, str]:
        """Return the model of this key, whether it is the current one or not, and its path."""
        name = f"models/{stage}-{key}/{MODEL_FILE}"
        return self.store.read(name), self.store.path(name)
