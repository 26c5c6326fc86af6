"""Fine-tuning of the fault classifier: first its head alone, then with the last block of the pretrained encoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor, nn

from xfmr.networks.encoders import Classifier, build_encoder
from xfmr.networks.inference import run_network
from xfmr.networks.losses import label_loss
from xfmr.training.loop import Batch, Metrics, Task, Worker

# Learning rate of the encoder's last block, relative to the head's: the encoder is already trained on the fleet.
_ENCODER_RATE = 0.1


class FinetuneTask(Task):
    """Learn fault types from rows with ``classes`` (-1: some fault) and ``weights``.

    An epoch draws each row with probability ``chance``. The state holds the network of the epoch with the best
    macro-F1 on the validation records.
    """

    partly_frozen = True

    def __init__(
        self,
        *,
        branch: str,
        shape: tuple[int, ...],
        encoder: dict[str, Tensor],
        n_classes: int,
        normal: int,
        frozen_epochs: int,
        learning_rate: float,
        chance: Tensor,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        pretrained = build_encoder(branch, shape)
        pretrained.load_state_dict(encoder)
        pretrained.requires_grad_(False)
        pretrained.last_block().requires_grad_(True)
        self.last_block = pretrained.last_block()
        self.classifier = Classifier(pretrained, n_classes)
        self.network: nn.Module = self.classifier
        self.normal = normal
        self.frozen_epochs = frozen_epochs
        self.learning_rate = learning_rate
        self.chance = chance
        self.best = {"macro_f1": torch.tensor(-1.0)}

    def optimiser(self) -> torch.optim.Optimizer:
        """Return AdamW over the head and, at a tenth of the rate, the encoder's last block."""
        groups = [
            {"params": self.classifier.head.parameters(), "lr": self.learning_rate},
            {"params": self.last_block.parameters(), "lr": self.learning_rate * _ENCODER_RATE},
        ]
        return torch.optim.AdamW(groups, weight_decay=1e-4)

    def begin_epoch(self, epoch: int) -> None:
        """Freeze the whole encoder in the first epochs."""
        self.classifier.frozen = epoch < self.frozen_epochs

    def order(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw rows with replacement and probability ``chance``, which balances the classes."""
        return torch.multinomial(self.chance, n, replacement=True, generator=generator)

    def losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the weighted loss of each record."""
        weights: Tensor = batch["weights"]
        return weights * label_loss(network(batch["inputs"]), batch["classes"], self.normal)

    def end_epoch(self, worker: Worker) -> Metrics:
        """Measure macro-F1 on the validation records, and keep the network if it is the best so far."""
        assert self.validation is not None
        predicted = run_network(self.network, self.validation.columns["inputs"]).argmax(1).numpy()
        macro_f1 = macro_f1_of(self.validation.columns["classes"], predicted)
        if macro_f1 >= float(self.best["macro_f1"]):
            weights = {f"network.{k}": v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
            self.best = {"macro_f1": torch.tensor(macro_f1), **weights}
        return {"validation_macro_f1": macro_f1}

    def state(self) -> dict[str, Tensor]:
        """Return the best epoch's network and its macro-F1."""
        return self.best

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the output of :meth:`state`."""
        self.best = state


def macro_f1_of(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the mean F1 of the classes that occur in the truth."""
    return float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0))
