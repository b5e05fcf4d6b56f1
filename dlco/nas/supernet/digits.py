"""The networks of the space `Digits` in torch: one of them, and all of them in one with shared weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlco.nas.space import Network
from dlco.nas.spaces.digits import BLOCKS, CLASSES, HIDDEN, KERNELS, STAGES, Digits, kernel_and_hidden

GROUP = 4  # channels normalised together: every choice of hidden channels is a whole number of groups


class Block(nn.Module):
    """A convolution to `hidden` channels, normalised, and a 1x1 convolution back, added to the input.

    Channels are normalised in groups of four, image by image (Wu and He, ECCV 2018), so what the first channels give
    does not depend on how many there are, nor on the batch.
    """

    def __init__(self, channels: int, kernel: int, hidden: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, hidden, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(hidden // GROUP, hidden)
        self.back = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """`[n, channels, rows, columns]` of the same."""
        return images + self.back(functional.relu(self.norm(self.convolution(images))))


class SharedBlock(nn.Module):
    """All options of a block at one place, with shared weights.

    Smaller kernels are the middle of the largest (Cai et al., Once for All, ICLR 2020), fewer hidden channels the first
    ones of the most.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.whole = Block(channels, KERNELS[-1], HIDDEN[-1])
        # which hidden channels an option has, for each kernel; all zero for "none": [options, kernels, hidden]
        masks = torch.zeros(len(BLOCKS) + 1, len(KERNELS), HIDDEN[-1])
        for option in range(len(BLOCKS)):
            kernel, hidden = kernel_and_hidden(option)
            masks[option, KERNELS.index(kernel), :hidden] = 1
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum of what the options give.

        The way back is linear, so hidden channels are summed before it: one convolution a kernel is enough.

        Args:
            images: `[n, channels, rows, columns]`.
            weights: `[options]`, one-hot for a network and probabilities between networks.
        """
        masks = torch.einsum("o,okh->kh", weights, self.get_buffer("masks"))
        whole, mixed = self.whole, None
        for kernel, mask in zip(KERNELS, masks, strict=True):
            if not mask.requires_grad and not mask.any():
                continue
            hidden = functional.conv2d(images, middle(whole.convolution.weight, kernel), padding=kernel // 2)
            hidden = functional.relu(whole.norm(hidden)) * mask[:, None, None]
            mixed = hidden if mixed is None else mixed + hidden
        return images if mixed is None else images + whole.back(mixed)

    def inherit(self, option: int) -> nn.Module:
        """One option with a copy of its weights."""
        if option == len(BLOCKS):
            return nn.Identity()
        kernel, hidden = kernel_and_hidden(option)
        block = Block(self.whole.convolution.in_channels, kernel, hidden)
        with torch.no_grad():
            block.convolution.weight.copy_(middle(self.whole.convolution.weight, kernel)[:hidden])
            block.norm.weight.copy_(self.whole.norm.weight[:hidden])
            block.norm.bias.copy_(self.whole.norm.bias[:hidden])
            block.back.weight.copy_(self.whole.back.weight[:, :hidden])
        return block


class DigitsNetwork(nn.Module):
    """One network of the space: parameters and layers are those that the space counts."""

    def __init__(self, stages: Sequence[Sequence[nn.Module]]) -> None:
        super().__init__()
        first, second = STAGES
        self.enter = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1, bias=False), nn.GroupNorm(first // GROUP, first), nn.ReLU()
        )
        self.shrink = nn.Sequential(
            nn.Conv2d(first, second, 3, stride=2, padding=1, bias=False),
            nn.GroupNorm(second // GROUP, second),
            nn.ReLU(),
        )
        self.stages = nn.ModuleList(nn.ModuleList(blocks) for blocks in stages)
        self.classify = nn.Linear(second, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[n, 10]` of images `[n, 1, 8, 8]`."""
        return self._run(images, [])

    def _run(self, images: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Logits; each block is given its weights if there are any."""
        given = iter(weights)
        for step, stage in zip((self.enter, self.shrink), self.stages, strict=True):
            images = step(images)
            for block in stage.children():
                images = block(images, next(given)) if weights else block(images)
        return self.classify(images.mean((-2, -1)))


class DigitsSupernet(DigitsNetwork):
    """All networks of the space, with shared weights: a network is a one-hot encoding.

    Args:
        space: the networks.
        seed: of the first weights.
    """

    def __init__(self, space: Digits, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):  # torch's modules draw from the global generator only
            torch.manual_seed(seed)
            super().__init__([[SharedBlock(channels) for _ in range(space.blocks)] for channels in STAGES])
        self.space = space

    def forward(self, images: Tensor, encoding: Tensor | None = None) -> Tensor:
        """Logits `[n, 10]` of images `[n, 1, 8, 8]`.

        Args:
            images: float32.
            encoding: `[features]`, as `space.encode` has it: one-hot for a network; probabilities give what the mix of
                all options gives. The largest network where not given.
        """
        if encoding is None:
            encoding = self.space.encode([(len(BLOCKS) - 1,) * len(self.space.decisions)])[0]
        weights = encoding.to(images).reshape(len(self.space.decisions), -1)
        return self._run(images, tuple(weights))

    def inherit(self, network: Network) -> DigitsNetwork:
        """One network with a copy of its weights, which runs and trains by itself.

        Raises:
            InvalidInput: it is not of the space.
        """
        self.space.check(network)
        options = iter(network)
        shared_blocks = [
            [block for block in stage.children() if isinstance(block, SharedBlock)] for stage in self.stages
        ]
        blocks = [[block.inherit(next(options)) for block in stage] for stage in shared_blocks]
        alone = DigitsNetwork(blocks)
        shared = self.state_dict()
        kept = {name: shared[name] for name in alone.state_dict() if not name.startswith("stages.")}
        alone.load_state_dict(kept, strict=False)
        return alone


def middle(weights: Tensor, kernel: int) -> Tensor:
    """The middle `kernel` rows and columns of `[outputs, inputs, rows, columns]`."""
    margin = (weights.shape[-1] - kernel) // 2
    return weights[..., margin : margin + kernel, margin : margin + kernel]
