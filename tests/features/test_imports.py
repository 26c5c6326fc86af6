"""The features run where neither Ray nor torch is."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["ray", "torch", "pydantic", "cupy"])
def test_import_does_not_need(module):
    code = f"import sys; sys.modules[{module!r}] = None; import xfmr.features"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_import_loads_neither_ray_nor_torch():
    code = "import sys, xfmr.features; print(*sorted({'ray', 'torch', 'pydantic', 'cupy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.strip() == ""
