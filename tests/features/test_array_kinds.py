"""Every feature answers in kind: a device array never meets NumPy on the way.

Where no GPU is at hand, a stand-in for CuPy keeps the rule: its arrays refuse to mix with NumPy's, and NumPy's own
functions refuse them, as CuPy's do.
"""

import sys
from types import ModuleType

import numpy as np
import pytest
import scipy.fft

from xfmr import features

FEATURES = {
    "zerone": lambda x: features.zerone(x, sample_rate_hz=8192),
    "log_spectrum": lambda x: features.log_spectrum(x, sample_rate_hz=8192),
    "quiet_psd": lambda x: features.quiet_psd(x, sample_rate_hz=8192),
    "health_indices": lambda x: features.health_indices(x, sample_rate_hz=8192),
    "health_grade": lambda x: features.health_grade(x[:, 0] * 100),
    "cwt_plane": features.cwt_plane,
    "stft_plane": features.stft_plane,
    "hetero_image": lambda x: features.hetero_image(x, sample_rate_hz=8192, size=64),
    "feature_columns": lambda x: features.feature_columns(x, sample_rate_hz=8192)["cwt"],
    "quantise": lambda x: features.quantise(features.stft_plane(x)),
    "image_from_planes": lambda x: features.image_from_planes(
        features.quantise(features.cwt_plane(x)), features.quantise(features.stft_plane(x)), x, size=64
    ),
    "raster_image": lambda x: features.raster_image(x[:, :1200], low=np.zeros(1200), high=np.ones(1200)),
    "weighted_average": lambda x: features.weighted_average(x, weights=features.energy_weights(x)),
}


class DeviceArray(np.ndarray):
    """A NumPy array that behaves, towards NumPy, like one on a GPU."""

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"numpy.{func.__name__} met a device array")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        for value in inputs:
            if isinstance(value, np.ndarray) and not isinstance(value, DeviceArray):
                raise TypeError(f"{ufunc.__name__} mixes a device array with a NumPy array")
        if out is not None:
            kwargs["out"] = tuple(host(value) for value in out)
        result = getattr(ufunc, method)(*(host(value) for value in inputs), **kwargs)
        return out[0] if out is not None else device(result)

    def mean(self, *args, **kwargs):
        return device(host(self).mean(*args, **kwargs))

    def std(self, *args, **kwargs):
        return device(host(self).std(*args, **kwargs))


DeviceArray.__module__ = "cupy"


def host(value):
    if isinstance(value, list | tuple):
        return type(value)(host(item) for item in value)
    return value.view(np.ndarray) if isinstance(value, DeviceArray) else value


def device(value):
    if isinstance(value, list):
        return [device(item) for item in value]
    return np.asarray(value).view(DeviceArray)


class DeviceModule:
    """`cupy`: the functions of NumPy or of one of its modules, for device arrays."""

    def __init__(self, module=np):
        self._module = module

    def __getattr__(self, name):
        target = scipy.fft if name == "fft" else getattr(self._module, name)  # to compare bit for bit
        return DeviceModule(target) if isinstance(target, ModuleType) else on_device(target)


def on_device(function):
    def call(*args, **kwargs):
        if function is not np.asarray and any(type(arg) is np.ndarray for arg in args):
            raise TypeError(f"cupy.{function.__name__} met a NumPy array")
        return device(function(*map(host, args), **{name: host(value) for name, value in kwargs.items()}))

    return call


@pytest.fixture
def cupy_stand_in(monkeypatch):
    module = DeviceModule()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("name", FEATURES)
def test_device_arrays_stay_on_the_device(cupy_stand_in, varied_signals, name):
    answer = FEATURES[name](cupy_stand_in.asarray(varied_signals))
    assert type(answer) is DeviceArray
    np.testing.assert_array_equal(host(answer), FEATURES[name](varied_signals))


def test_the_stand_in_refuses_to_mix(cupy_stand_in, varied_signals):
    on_device = cupy_stand_in.asarray(varied_signals)
    with pytest.raises(TypeError, match="met a device array"):
        np.concatenate([on_device, on_device])
    with pytest.raises(TypeError, match="mixes"):
        on_device * varied_signals


@pytest.mark.parametrize("name", FEATURES)
def test_numpy_answers_in_numpy(varied_signals, name):
    assert type(FEATURES[name](varied_signals)) is np.ndarray


@pytest.mark.gpu
@pytest.mark.parametrize("name", FEATURES)
def test_cupy_agrees_with_numpy(varied_signals, name):
    cupy = pytest.importorskip("cupy")
    answer = FEATURES[name](cupy.asarray(varied_signals))
    assert isinstance(answer, cupy.ndarray)
    expected = FEATURES[name](varied_signals)
    tolerance = 1 if expected.dtype.kind in "iu" else 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(cupy.asnumpy(answer).astype(float), expected.astype(float), rtol=1e-4, atol=tolerance)
