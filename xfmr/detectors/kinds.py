"""All kinds of detector, planned and read back by name.

A new detector needs its name, terms and settings in ``settings/stage_one.py``, a module here with the functions
``plan`` and ``restore``, and its entry in :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from xfmr.detectors import ae, bank, ensemble, svdd, vae
from xfmr.detectors.base import Detector
from xfmr.detectors.plan import DetectorPlan, Kind, Planner
from xfmr.errors import XfmrError
from xfmr.networks.checkpoint import from_bytes
from xfmr.schema import RecordIds
from xfmr.settings import Settings
from xfmr.settings.stage_one import DetectorKind
from xfmr.training.trainer import Trainer

KINDS: Mapping[DetectorKind, Kind] = MappingProxyType(
    {"bank": bank, "ae": ae, "svdd": svdd, "vae": vae, "ensemble": ensemble}
)


def plan_detector(settings: Settings, struck: RecordIds, trainer: Trainer) -> DetectorPlan:
    """Plan the detector that a run's settings ask for.

    Args:
        settings: Settings of the run.
        struck: Ids of records that must not be learned from.
        trainer: Trains its networks.

    Raises:
        XfmrError: If the encoders that it starts from are missing, damaged or were trained with other settings.
    """
    return Planner(settings, struck, trainer, KINDS).plan(settings.detector)


def detector_from_bytes(data: bytes, name: str) -> Detector:
    """Read a detector from the bytes of its file.

    Args:
        data: The file's content.
        name: The file's name, for messages.

    Raises:
        XfmrError: If the file is damaged, holds no detector or was written by a version that stored less.
    """
    model = from_bytes(data, name, kind=tuple(KINDS))
    kind: DetectorKind = model.description["kind"]
    try:
        return KINDS[kind].restore(model, detector_from_bytes)
    except KeyError as error:
        raise XfmrError(
            f"{name} was written by another version of xfmr (it has no {error}): remove its folder and train again"
        ) from error
