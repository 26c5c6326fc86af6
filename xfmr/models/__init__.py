"""Networks, losses and the files they are kept in; only torch and torchvision."""
