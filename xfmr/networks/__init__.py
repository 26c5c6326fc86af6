"""Networks, their losses and the file a model is kept in: torch and torchvision, nothing else of ours."""
