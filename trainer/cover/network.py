"""The network of `julnet_plugin.face.cover` in torch: the same layers by the same names, so that it can learn."""

from __future__ import annotations

import json
from pathlib import Path

import torch.nn.functional as F  # noqa: N812 - its usual name
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from julnet_plugin.pipeline.workfolder import replacing
from trainer.dataset import DatasetError

CELLS = 12  #: rows and columns of the answer


class CoverNet(nn.Module):
    """Says where something lies over lower faces.

    Shape:
        faces: (B, 3, 48, 48) in [0, 1], what `julnet_plugin.face.cover.lower_face` cuts.
        returns: (B, 12, 12) logits of the share of each cell that is covered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.ModuleList([nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1)])
        self.far = nn.ModuleList([nn.Conv2d(32, 40, 3, 1, 1), nn.Conv2d(40, 48, 3, 2, 1), nn.Conv2d(48, 48, 3, 1, 1)])
        self.from_far, self.from_near = nn.Conv2d(48, 40, 1), nn.Conv2d(32, 40, 1)
        self.join = nn.ModuleList([nn.Conv2d(40, 40, 3, 1, 1), nn.Conv2d(40, 40, 3, 1, 2, dilation=2)])
        self.out = nn.Conv2d(40, 1, 1)

    def forward(self, faces: Tensor) -> Tensor:
        """See the class."""
        spread = faces.flatten(1).std(dim=1)[:, None, None, None]
        near = (faces - faces.mean(dim=(2, 3), keepdim=True)) / (spread + 0.05)
        for layer in self.near:
            near = F.relu(layer(near))
        far = near
        for layer in self.far:
            far = F.relu(layer(far))
        both = F.relu(self.from_near(near) + F.interpolate(self.from_far(far), scale_factor=2, mode="nearest"))
        for layer in self.join:
            both = F.relu(layer(both))
        logits: Tensor = self.out(both)
        return logits[:, 0]


def save_network(network: CoverNet, path: Path, facts: dict[str, str]) -> None:
    """Write 16-bit weights as `julnet_plugin.face.cover` reads them, whole or not at all."""
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"julnet_cover": json.dumps(facts, sort_keys=True)})


def load_network(path: Path) -> CoverNet:
    """Read what `save_network` wrote.

    Raises:
        DatasetError: there is no such file, or it holds something else.
    """
    network = CoverNet()
    try:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError) as exc:
        what = "does not hold weights of this network" if path.is_file() else "is not a file"
        msg = f"{path} {what}; give what `julnet train --recipe cover` wrote"
        raise DatasetError(msg, path) from exc
    return network.eval()
