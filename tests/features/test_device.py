"""Batches through a GPU: in order, each moved once, two in flight; with a stand-in if there is none."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from xfmr import features
from xfmr.features import device


class FakeArray(np.ndarray):
    """An array on the device; `set` is the only way there from the host."""

    def set(self, values, stream):
        stream.log.append(f"up {stream.number}")
        self[...] = values


class FakeStream:
    def __init__(self, log, number):
        self.log, self.number = log, number

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def synchronize(self):
        self.log.append(f"wait {self.number}")


@pytest.fixture
def fake_gpu(monkeypatch):
    log, streams = [], []

    def make_stream(non_blocking):
        assert non_blocking
        streams.append(FakeStream(log, len(streams)))
        return streams[-1]

    def asnumpy(values, stream, out, blocking):
        assert not blocking
        log.append(f"down {stream.number}")
        out[...] = values
        return out

    cuda = SimpleNamespace(Stream=make_stream, is_available=lambda: True)
    cupy = SimpleNamespace(cuda=cuda, empty=lambda *args: np.empty(*args).view(FakeArray), asnumpy=asnumpy)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=np.empty))
    return log


def batches(n):
    return [np.full((2, 3), number, np.float32) for number in range(n)]


def double(signals):
    return {"doubled": 2 * signals}


def test_without_a_gpu_batches_are_computed_in_order(monkeypatch):
    monkeypatch.setattr(device, "gpu", lambda: None)
    answers = list(device.compute_batches(batches(3), double))
    np.testing.assert_array_equal([answer["doubled"][0, 0] for answer in answers], [0, 2, 4])


def test_batches_come_back_in_order(fake_gpu):
    answers = list(device.compute_batches(batches(5), double))
    assert [answer["doubled"][0, 0] for answer in answers] == [0, 2, 4, 6, 8]
    assert all(type(answer["doubled"]) is np.ndarray for answer in answers)


def test_a_batch_moves_while_the_one_before_is_computed(fake_gpu):
    list(device.compute_batches(batches(4), double))
    assert fake_gpu == [
        *("up 0", "down 0"),
        *("up 1", "down 1"),
        *("wait 0", "up 0", "down 0"),
        *("wait 1", "up 1", "down 1"),
        *("wait 0", "wait 1"),
    ]


def test_no_batches(fake_gpu):
    assert list(device.compute_batches([], double)) == []


@pytest.mark.gpu
def test_columns_from_the_gpu_agree_with_the_cpu(varied_signals):
    if device.gpu() is None:
        pytest.skip("no GPU, or no cupy")

    def columns(signals):
        return features.feature_columns(signals, sample_rate_hz=8192)

    together = [np.roll(varied_signals, shift, axis=1) for shift in range(5)]
    for answer, signals in zip(device.compute_batches(together, columns), together, strict=True):
        for name, expected in columns(signals).items():
            assert type(answer[name]) is np.ndarray
            tolerance = 1 if expected.dtype == np.uint8 else 1e-3 * np.abs(expected).max()
            np.testing.assert_allclose(answer[name].astype(float), expected.astype(float), rtol=1e-3, atol=tolerance)
