"""Model files: they come back whole, and a damaged one is refused in a line that names it."""

import pickle

import pytest
import torch
from safetensors.torch import save
from torch import nn

from xfmr.errors import XfmrError
from xfmr.networks.checkpoint import from_bytes, to_bytes


@pytest.fixture
def data() -> bytes:
    tensors = {f"net.{name}": tensor for name, tensor in nn.Linear(3, 2).state_dict().items()}
    return to_bytes({**tensors, "scale": torch.arange(3.0)}, {"kind": "test", "names": ["a", "变压器"]})


def refusal(data: bytes, kind: str = "test") -> str:
    with pytest.raises(XfmrError) as error:
        from_bytes(data, "runs/a/model.safetensors", kind=kind)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("runs/a/model.safetensors")
    assert "train again" in message
    return message


def test_a_model_comes_back(data: bytes) -> None:
    model = from_bytes(data, "a", kind="test")
    assert model.description["names"] == ["a", "变压器"]
    assert torch.equal(model.tensors["scale"], torch.arange(3.0))
    network = nn.Linear(3, 2)
    model.load_into(network, "net")
    assert torch.equal(network.weight, model.tensors["net.weight"])


@pytest.mark.parametrize("length", [0, 4, 20, -1])
def test_a_truncated_file_is_refused(data: bytes, length: int) -> None:
    refusal(data[:length])


def test_a_flipped_bit_anywhere_is_refused(data: bytes) -> None:
    for position, byte in enumerate(data):
        flipped = byte ^ 1 << position % 8
        refusal(data[:position] + bytes([flipped]) + data[position + 1 :])


def test_the_same_model_is_the_same_file() -> None:
    files = {to_bytes({"b": torch.ones(2), "a": torch.zeros(())}, {"kind": "test", "n": 1}) for _ in range(20)}
    assert len(files) == 1


@pytest.mark.parametrize("metadata", [None, {"xfmr": "[]"}, {"xfmr": '{"kind": "test"}'}, {"other": "{}"}])
def test_a_file_of_another_making_is_refused(metadata: dict[str, str] | None) -> None:
    refusal(save({"scale": torch.arange(3.0)}, metadata=metadata))


def test_a_pickle_is_refused_and_never_loaded() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("unpickled",))

    refusal(pickle.dumps(Trap()))


def test_another_kind_is_refused(data: bytes) -> None:
    assert "holds a test, not a svdd" in refusal(data, kind="svdd")


def test_the_weights_of_another_network_are_refused(data: bytes) -> None:
    model = from_bytes(data, "runs/a/model.safetensors", kind="test")
    with pytest.raises(XfmrError, match=r"^runs/a/model\.safetensors does not hold the weights[^\n]*$"):
        model.load_into(nn.Linear(4, 4), "net")
