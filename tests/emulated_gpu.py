"""A GPU that is none: tensors that say they are on one, and refuse to meet those that are not.

Under `EmulatedGpu`, tensors made with `device="cuda"` or moved there are CPU tensors with a label. An operation that
mixes labelled and unlabelled tensors fails, as it would on a real GPU; scalars may mix, and so may CPU indices into a
GPU tensor, as torch allows.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

GPU = torch.device("cuda")
READS_ONE = ("item", "tolist", "__bool__", "__float__", "__int__", "numpy", "__repr__")


class Labelled(torch.Tensor):
    """A CPU tensor that passes for one on a GPU."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return torch._C._disabled_torch_function_impl(func, types, args, kwargs or {})


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)


def _label(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and not isinstance(value, Labelled):
        return value.as_subclass(Labelled)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_label, value))
    if type(value).__module__ == "torch.return_types":
        return type(value)(map(_label, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_label, value))
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, torch.device) and value.type == "cuda":
        return torch.device("cpu")
    if isinstance(value, str) and value.startswith("cuda"):
        return "cpu"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(map(_plain, value))
    return value


class EmulatedGpu(TorchFunctionMode):
    """The mode; `operations` counts what ran on the emulated device."""

    operations = 0

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.device:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        given = [*_tensors(list(args)), *_tensors(list(kwargs.values()))]
        labelled = [t for t in given if isinstance(t, Labelled)]
        asked = [kwargs.get("device"), *(args[1:] if name in ("to", "new_tensor") else ())]
        asked = [a.device if isinstance(a, torch.Tensor) else a for a in asked]
        target = next((torch.device(a).type for a in asked if isinstance(a, str | torch.device)), None)
        moves = target is not None or name in ("cpu", "cuda", "copy_", "as_subclass", "__get__", "__set__")
        indexing = name in ("__getitem__", "__setitem__")
        plain = [t for t in given if not isinstance(t, Labelled) and t.dim() > 0]
        if labelled and plain and not moves and not indexing:
            raise RuntimeError(f"{name}: tensors on two devices")
        if indexing and plain and labelled and not isinstance(args[0], Labelled):
            raise RuntimeError(f"{name}: a CPU tensor indexed by one on the GPU")
        if name == "__get__" and labelled:
            found = func(*args, **kwargs)
            return _label(found) if isinstance(found, torch.Tensor) else found
        result = func(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})
        to_gpu = target == "cuda" or name == "cuda" or (labelled and target is None and name != "cpu")
        if to_gpu and name not in READS_ONE:
            self.operations += 1
            if name.endswith("_") and not name.endswith("__") and labelled:
                return args[0]
            return _label(result)
        return result.as_subclass(torch.Tensor) if isinstance(result, Labelled) else result


class Generator(torch.Generator):
    """A CPU generator that passes for one on the device it was asked for."""

    def __new__(cls, device: object = "cpu") -> "Generator":
        made = super().__new__(cls, "cpu")
        made.asked = torch.device(str(device))  # type: ignore[attr-defined]
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.asked  # type: ignore[attr-defined, no-any-return]
