"""What a simulated layer does over time: a picture, and a trace file for Chrome's and Perfetto's viewers."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlco.errors import InvalidInput
from dlco.files import write_whole
from dlco.simulate.timing import Timing
from dlco.texts import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")
BINS = 400
_INCHES = 1.1  # of a port's row
_MAC_COLOUR, _PORT_COLOUR = "#0072B2", "#E69F00"  # of Okabe and Ito's palette


def usage(timing: Timing, bins: int = BINS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean use over equal stretches of time.

    Returns:
        Their `[bins + 1]` edges, in cycles, and `[bins, 1 + ports]` shares: MAC steps done of those that time had
        room for, and words moved by each port of those that it could have moved.
    """
    edges = np.linspace(0.0, timing.cycles, bins + 1)
    most = np.array([1.0, *timing.bandwidth])
    when = timing.timeline[:, 0]
    done = np.stack([np.interp(edges, when, column) for column in timing.timeline[:, 1:].T], axis=-1)
    return edges, np.diff(done, axis=0) / (np.diff(edges)[:, None] * most)


def plot_timing(timing: Timing, path: str | os.PathLike[str] | None = None, *, title: str = "") -> "Figure":
    """MAC utilisation and the use of every limited port over time, a row each.

    Args:
        timing: what to draw.
        path: where to write the picture, or None; the suffix says the format, one of `PICTURES`.
        title: above the picture.

    Raises:
        InvalidInput: another suffix.
    """
    from matplotlib.figure import Figure  # takes longer to load than all else here

    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise InvalidInput(f"picture is {os.fspath(path)!r}; its suffix must be one of {', '.join(PICTURES)}")
    edges, shares = usage(timing)
    names = ("MACs", *timing.ports)
    figure = Figure(figsize=(10, 0.8 + _INCHES * len(names)), layout="constrained")
    rows = figure.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, name, share in zip(rows, names, shares.T, strict=True):
        colour = _MAC_COLOUR if name == "MACs" else _PORT_COLOUR
        axes.stairs(100 * share, edges, fill=True, color=colour)
        axes.set_ylim(0, 105)
        axes.set_title(_shown(name), loc="left", fontsize=9)
        axes.set_ylabel("% used", fontsize=8)
    rows[-1].set_xlim(0, timing.cycles)
    rows[-1].set_xlabel("cycles")
    figure.suptitle(_shown(title))
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _shown(text: str) -> str:
    """The text as matplotlib is to show it, which reads formulas between dollars."""
    return printable(text).replace("$", r"\$")


def chrome_trace(timing: Timing, cycle_s: float, *, name: str = "layer") -> dict[str, Any]:
    """A trace in Chrome's JSON format: a track for the MACs and for each link, and a counter for each port.

    Slices of a link are its transfers (their words are an argument), those of the MACs the time they work. Turns of
    loops that were added up, not executed, are one slice on a track of their own.

    Args:
        timing: what to write.
        cycle_s: seconds a cycle; the format counts microseconds.
        name: of the process that the viewer shows.
    """
    scale = cycle_s * 1e6
    tracks = {"MACs": 1}
    events: list[dict[str, Any]] = [_label("process_name", name, 0)]
    slices: list[dict[str, Any]] = []
    for start, end in _busy(timing):
        slices.append(_slice("computing", start * scale, end * scale, 1, {}))
    for transfer in timing.transfers:
        track = "added up" if transfer.repeated else transfer.name
        number = tracks.setdefault(track, len(tracks) + 1)
        arguments = {} if transfer.repeated else {"words": transfer.words}
        slices.append(_slice(transfer.name, transfer.start * scale, transfer.end * scale, number, arguments))
    events += [_label("thread_name", track, number) for track, number in tracks.items()]
    edges, shares = usage(timing)
    for edge, row in zip(edges[:-1].tolist(), shares.tolist(), strict=True):
        for port, share, most in zip(("MACs", *timing.ports), row, (100.0, *timing.bandwidth), strict=True):
            unit = "% busy" if port == "MACs" else "words a cycle"
            events.append(
                {"name": port, "ph": "C", "pid": 1, "tid": 0, "ts": edge * scale, "args": {unit: share * most}}
            )
    slices.sort(key=lambda one: one["ts"])
    return {"traceEvents": events + slices, "displayTimeUnit": "ns", "otherData": {"cycles": timing.cycles}}


def write_trace(timing: Timing, cycle_s: float, path: str | os.PathLike[str], *, name: str = "layer") -> None:
    """Write `chrome_trace` as a file, whole or not at all; open it in https://ui.perfetto.dev or chrome://tracing."""
    write_whole(path, json.dumps(chrome_trace(timing, cycle_s, name=name)))


def _busy(timing: Timing) -> list[tuple[float, float]]:
    """Stretches of time in which the MACs work without a break."""
    when, done = timing.timeline[:, 0], timing.timeline[:, 1]
    found: list[tuple[float, float]] = []
    for start, end, work in zip(when[:-1].tolist(), when[1:].tolist(), (np.diff(done) > 0).tolist(), strict=True):
        if not work:
            continue
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def _label(kind: str, name: str, number: int) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": 1, "tid": number, "args": {"name": name}}


def _slice(name: str, start: float, end: float, track: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "X", "pid": 1, "tid": track, "ts": start, "dur": end - start, "args": arguments}
