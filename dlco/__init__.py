"""dlco: size a CNN accelerator and schedule a network on it, together.

The public names are listed in `__init__.pyi`. Each is imported when it is first asked for, so that `import dlco` and
`dlco --help` need not wait for torch.
"""

import lazy_loader

from dlco.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
