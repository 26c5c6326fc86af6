"""Views: drawn for each record by itself, near it, and of every kind of input."""

import pytest
import torch

from xfmr.training.augment import JITTER_BINS, Augmentation, _band, _shifted

ROWS = torch.tensor([4, 0, 9, 2])


def images(n: int = 4) -> torch.Tensor:
    return torch.rand(n, 3, 20, 16, generator=torch.Generator().manual_seed(1))


def vectors(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 451, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("inputs", [images(), vectors()], ids=["images", "vectors"])
def test_a_view_depends_on_seed_epoch_and_record_alone(inputs: torch.Tensor) -> None:
    views = Augmentation(3)(inputs, ROWS, 5)
    assert isinstance(views, torch.Tensor)
    assert views.shape == (8, *inputs.shape[1:])
    few = Augmentation(3)(inputs[2:3], ROWS[2:3], 5)
    torch.testing.assert_close(few, views[[2, 6]])
    for other in (Augmentation(4)(inputs, ROWS, 5), Augmentation(3)(inputs, ROWS, 6), views.roll(4, 0)):
        assert (other != views).flatten(1).any(1).all()


def test_views_of_a_record_are_nearer_to_it_than_to_others() -> None:
    inputs = vectors()
    views = Augmentation(0)(inputs, ROWS, 0)
    distance = torch.cdist(views, inputs)
    assert distance.argmin(1).tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert (distance.min(1).values > 1).all()


def test_parts_of_a_record_are_both_changed() -> None:
    views = Augmentation(0)({"image": images(), "vector": vectors()}, ROWS, 0)
    assert isinstance(views, dict)
    assert {name: tuple(part.shape) for name, part in views.items()} == {"image": (8, 3, 20, 16), "vector": (8, 451)}


def test_no_records_have_no_views() -> None:
    views = Augmentation(0)(vectors(0), ROWS[:0], 0)
    assert isinstance(views, torch.Tensor)
    assert (views.shape, views.dtype) == ((0, 451), torch.float32)


def test_jitter_moves_a_line_towards_its_neighbour() -> None:
    line = torch.zeros(2, 1, 9, 1)
    line[:, :, 4] = 1
    down, up = _shifted(line, torch.tensor([JITTER_BINS, -JITTER_BINS])[:, None, None, None]).flatten(1)
    assert down.tolist() == [0, 0, 0, 0, 0.5, 0.5, 0, 0, 0]
    assert up.tolist() == [0, 0, 0, 0.5, 0.5, 0, 0, 0, 0]


def test_a_band_is_contiguous_and_as_wide_as_drawn() -> None:
    band = _band(100, torch.tensor([[0.5, 1.0], [0.5, 0.0], [0.0, 1.0]]))
    assert band.sum(1).tolist() == pytest.approx([25, 0, 12.5], abs=1)
    assert torch.nonzero(band[0]).flatten().diff().eq(1).all()
