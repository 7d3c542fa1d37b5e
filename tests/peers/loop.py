"""A plain PyTorch loop, written as a user of PyTorch would: channels_last, autocast, torch.compile, fused Adam.

Nothing of segbench stands in it. What it is given is what segbench's own steps are given: uint8 images and labels on
the device, cross-entropy, Adam.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

AUTOCAST = {"float32": None, "mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}


class Loop:
    """A model with its optimizer.

    Args:
        model: images (B, 3, H, W) float32 -> logits (B, C, H, W).
        device: "cuda" or "cpu".
        precision: one of `AUTOCAST`.
        compiled: through torch.compile, at the first call.
    """

    def __init__(self, model: nn.Module, *, device: str, precision: str, compiled: bool):
        self.device, self._type = torch.device(device), AUTOCAST[precision]
        model = model.to(self.device, memory_format=torch.channels_last)
        self._optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=device == "cuda")
        self._scaler = torch.amp.GradScaler(device, enabled=precision == "mixed_float16")
        self.model: Any = torch.compile(model) if compiled else model

    def train_step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train one step on images uint8 (B, H, W, 3) and labels uint8 (B, H, W); return the loss, not awaited."""
        self._set_mode(training=True)
        self._optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            loss = functional.cross_entropy(self.model(_to_float(images)).float(), labels.long())
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return loss.detach()

    def predict(self, images: Tensor) -> Tensor:
        """Predict classes uint8 (B, H, W) of images uint8 (B, H, W, 3), not awaited."""
        self._set_mode(training=False)
        with torch.inference_mode(), self._autocast():
            return self.model(_to_float(images)).argmax(1).to(torch.uint8)

    def wait(self) -> None:
        """Wait until the device has finished everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _set_mode(self, *, training: bool) -> None:
        if self.model.training != training:  # it walks through all modules
            self.model.train(training)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self._type, enabled=self._type is not None)


def _to_float(images: Tensor) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, H, W) in [0, 1]; channels_last in memory."""
    return images.permute(0, 3, 1, 2).float() / 255
