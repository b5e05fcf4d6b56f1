"""The best design's mappings, improved by tiles that do not divide their layers."""

from typing import Any

from dlco.journal import recorded
from dlco.mapping.mapping import Mapping
from dlco.optimize.finish import Costed
from dlco.optimize.phases.shared import Run
from dlco.search.imperfect import from_tables, refine, to_tables


def allow_imperfect(run: Run) -> None:
    """Put into the state what a search among all factors makes of the best design; each better mapping at once."""
    perfect = run.best()
    run.state.report("refine", 0.0)

    def search() -> dict[str, Any]:
        refined, evaluated = refine(
            run.request.layers,
            perfect.architecture,
            perfect.mappings,
            run.score,
            run.generator("imperfect"),
            constraints=run.request.constraints,
            keep=run.take,
            tick=lambda share: run.state.report("refine", share),
        )
        return {"tables": to_tables(refined), "evaluated": evaluated}

    def read(content: dict[str, Any]) -> tuple[dict[str, Mapping], int]:
        refined = from_tables(content["tables"], perfect.mappings)
        Costed.of(run.request.layers, perfect.architecture, refined)  # raises where one does not fit
        return refined, int(content["evaluated"])

    refined, evaluated = recorded(run.journal, "imperfect", search, read)
    run.designs.evaluations += evaluated
    run.take(refined)
