"""Fit the accuracy predictors of OFA-MobileNetV3 that dlco ships, from the table of measured networks.

Writes dlco/nas/data/ofa_ridge.npz and ofa_ensemble.npz: `python benchmarks/fit_ofa_predictor.py [table.csv.gz]`. The
same table and versions give the same files.
"""

import argparse
from pathlib import Path

from dlco.nas import OfaMobileNetV3
from dlco.nas.oracles import TableAccuracy, fit_predictor

TABLE = Path(__file__).resolve().parent / "data" / "ofa_mobilenetv3_imagenet.csv.gz"
SHIPPED = Path(__file__).resolve().parents[1] / "dlco" / "nas" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="?", default=TABLE, help="CSV with the columns arch and top1")
    parser.add_argument("--folder", type=Path, default=SHIPPED, help="where the files go")
    options = parser.parse_args()
    table = TableAccuracy.read(OfaMobileNetV3(), options.table, "top1")
    for kind in ("ridge", "ensemble"):
        predictor = fit_predictor(table, kind, progress=True)
        predictor.save(options.folder / f"ofa_{kind}.npz")
        print(f"{kind}: {predictor.quality}")


if __name__ == "__main__":
    main()
