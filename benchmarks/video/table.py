"""The tables of docs/predict.md, of what `measure.py` found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table(results: Mapping[str, Any]) -> str:
    """Return Markdown of both parts of reports/end_to_end/video.json."""
    quality, times = results["quality"], results["times"]
    jitter, lags, tours = (
        quality[key] for key in ("jitter_percent_of_face", "lag_frames", "tours")
    )
    rows = []
    for way in jitter:
        tour = tours[way]
        rows.append(
            [
                way,
                f"{jitter[way]['median']:.3f}",
                *(_lag(lags[motion], way) for motion in ("line", "swing")),
                f"{tour['nme']:.2f}",
                f"{tour['found_percent']:.1f}",
            ]
        )
    head = [
        *("landmarks", "jitter at rest, % of the face", "lag, to and fro", "lag, swing"),
        *("NME in motion", "found, %"),
    ]
    milliseconds = {name: clocks["wall"] for name, clocks in times["milliseconds"].items()}
    ratio, share = times["followed_to_network"]["wall"], quality["jitter_ratio"]
    width, height = times["size"]
    machine = times["machine"]
    return "\n".join(
        [
            *(_row(head), _row(["---"] * len(head)), *map(_row, rows), ""),
            f"Smoothing leaves {share['median']:.2f} of the jitter (at most "
            f"{share['largest']:.2f}). A frame of {width} x {height} with one face "
            f"takes {milliseconds['followed']:.1f} ms "
            f"when followed, {ratio['median']:.2f} times the network alone "
            f"({milliseconds['network']:.1f} ms), and {milliseconds['each']:.1f} ms when searched "
            "by itself; decoding and drawing are not counted.",
            "",
            "`python -m benchmarks.video.measure --photos DIR`, then `--times`, on clips made of "
            f"{quality['photos']} train photos of 300-W (the network knows them), at 30 "
            "frames a second, with noise and JPEG: a face of 160 pixels at rest; one that moves a "
            "face side a second (lag in frames, median); and, of "
            f"{tours['clips']}, {tours['seconds']} s in which it moves, comes nearer and tilts by "
            f"up to 30 degrees. {machine['cpu']}, {machine['threads']} thread; "
            f"face detector: {times['face_detector']}.",
        ]
    )


def _lag(lags: Mapping[str, Any], way: str) -> str:
    return f"{lags[way]['median']:.2f}" if way in lags else "0"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
