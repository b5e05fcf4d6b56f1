"""`ofa_accuracy`: ImageNet accuracies of OFA-MobileNetV3, predicted with coefficients that come with dlco.

Fitted by `benchmarks/fit_ofa_predictor.py` to 2,162 subnetworks of the Once-for-All supernet of width 1.0 (Cai et al.,
ICLR 2020), whose top-1 at 224x224 was measured on ImageNet's 50,000 validation images: IntelLabs/DyNAS-T, Apache-2.0.

The networks measured were drawn by evolutionary searches, 71.0 to 77.5 % and dense near the good front; neither
predictor was judged on networks unlike them. The ridge errs upwards where all options are the best ones: of the network
that it likes most it says 78.4 %, the ensemble 77.5 %; the ensemble says 77.8 % of its own. The networks share the
supernet's weights: a network trained by itself would do better. The validation images are
those of the published accuracies, so accuracies chosen on them are optimistic.
"""

from importlib.resources import as_file, files

from dlco.errors import InvalidInput
from dlco.nas.oracles.fit import KINDS, load_predictor
from dlco.nas.oracles.predictor import Predictor
from dlco.nas.spaces import OfaMobileNetV3


def ofa_accuracy(kind: str = "ensemble", batch: int = 1, *, macs_only: bool = False) -> Predictor:
    """Predicted ImageNet top-1 of OFA-MobileNetV3's networks at 224x224, percent; nothing is downloaded.

    Args:
        kind: "ensemble", the more exact one, or "ridge", which is linear in the probabilities of a relaxed network's
            options, so that there is a best choice of each option by itself. `quality` has their errors on a fifth
            of the table held out of the fit.
        batch: images that run together, for the costs of the space; accuracy does not depend on it.
        macs_only: whether the space leaves out layers without multiply-accumulates, likewise.

    Raises:
        InvalidInput: another kind, or the batch is not a positive integer.
    """
    if kind not in KINDS:
        raise InvalidInput(f"kind is {kind!r}; allowed: {', '.join(KINDS)}")
    with as_file(files("dlco.nas").joinpath(f"data/ofa_{kind}.npz")) as path:
        return load_predictor(path, OfaMobileNetV3(batch=batch, macs_only=macs_only))
