"""Signals that every feature test uses, and the golden file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/data/golden/features.npz"


@pytest.fixture(scope="session")
def golden() -> Mapping[str, Any]:
    if not GOLDEN.exists():
        pytest.skip("the golden features (shared/data/golden/features.npz beside the repository) are not there")
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def varied_signals() -> np.ndarray:
    """White noise, a tone, a chirp, an impulse, a step: (5, 8192)."""
    t = np.arange(8192)
    noise = np.random.default_rng(7).standard_normal(8192)
    tone = 0.05 * np.sin(2 * np.pi * 100 * t / 8192 + 0.3)
    chirp = np.sin(2 * np.pi * (0.002 * t + 0.2 * t**2 / 8192))
    impulse = np.where(t == 3000, 1.0, 0.0)
    step = np.where(t < 5000, -0.2, 0.7)
    return np.stack([noise, tone, chirp, impulse, step]).astype(np.float32)
