"""What `python -m benchmarks.end_to_end` found, as Markdown for docs/results.md."""

from __future__ import annotations

from typing import Any

from benchmarks.pfld.tables import table

NAMES = {"yunet": "YuNet", "haar": "Haar", "dlib": "dlib"}
KEYS = {"image": "an image", "face": "a face, network alone"}


def results_blocks(results: dict[str, Any]) -> dict[str, str]:
    """Return what docs/results.md shows, by the name of its block."""
    machine = results["machine"]
    tables = [_photos(results), _tilts(results["tilts"]), _coverage(results)]
    if "times" in results:
        tables.insert(1, _times(results["times"]))
    if "batches" in results:
        tables.insert(2, _batches(results["batches"]))
    line = (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, one thread; OpenCV "
        f"{machine['opencv']}, onnxruntime {machine['onnxruntime']}. Network: {machine['model']}."
    )
    return {"end_to_end": "\n\n".join([*tables, line])}


def _photos(results: dict[str, Any]) -> str:
    rows = []
    for name in results["photos"]:
        for title, found in (
            ("WFLW photos", results["photos"][name]),
            ("Common, full images", results["tilts"][name]["upright"]),
        ):
            rows.append(
                [
                    NAMES[name],
                    title,
                    str(found["images"]),
                    f"{found['faces']}",
                    f"{found['found']:.1f}",
                    _number(found["nme"]),
                    f"{found['fr10']:.1f}",
                    str(found["images_with_false"]),
                ]
            )
    heads = ["detector", "images of", "images", "faces", "found %", "NME of these", "FR@10"]
    return table([*heads, "images with other detections"], rows)


def _times(times: dict[str, Any]) -> str:
    of = times["detectors"]
    keys = ("turn", "no_turn")
    turn, no_turn = (f"{of['yunet'][k]['mean'] / of['haar'][k]['mean']:.2f}" for k in keys)
    yunet, haar = (of[name]["turn"] for name in ("yunet", "haar"))
    dlib = f" dlib took {of['dlib']['no_turn']['mean']:.1f} ms." if "dlib" in of else ""
    return (
        f"On {times['images']} photos of WFLW, one thread, landmarks of all faces included, YuNet "
        f"took {yunet['median']:.1f} ms a photo in the median and {yunet['mean']:.1f} in the mean, "
        f"{turn} of Haar's mean of {haar['mean']:.1f}, and {no_turn} with `turn=False`. The "
        "detectors took turns on each photo; the machine's load average was "
        f"{times['load']:.1f} at the end.{dlib}"
    )


def _batches(batches: dict[str, Any]) -> str:
    names = {"one": "one thread", "default": "onnxruntime's threads"}
    rows = [
        [size, *(f"{batches['threads'][name][size][key]:.1f}" for name in names for key in KEYS)]
        for size in batches["threads"]["one"]
    ]
    heads = [f"{label}: ms {key}" for label in names.values() for key in KEYS.values()]
    return (
        f"{table(['images in a batch', *heads], rows)}\n\n{batches['images']} photos of WFLW, with "
        f"YuNet; the load average at the end was {batches['load']:.1f}."
    )


def _tilts(tilts: dict[str, Any]) -> str:
    yunet, *others = (of_detector["angles"] for of_detector in tilts.values())
    upright = yunet["0"]["nme"]
    rows = [
        [
            f"{angle}°",
            f"{found['found']:.1f}",
            _number(found["nme"]),
            "-" if found["nme"] is None else f"{found['nme'] / upright:.2f}",
            f"{found['fr10']:.1f}",
            *(cell for other in others for cell in _found_at(other, angle)),
        ]
        for angle, found in yunet.items()
    ]
    heads = ["Common, turned by", "YuNet: found %", "NME of these", "÷ upright", "FR@10"]
    for name in list(tilts)[1:]:
        heads += [f"{NAMES[name]}: found %", "NME of these"]
    text = table(heads, rows)
    return f"{text}\n\nEvery fourth face, n = {yunet['0']['faces']}; where blank it was not tried."


def _found_at(angles: dict[str, Any], angle: str) -> list[str]:
    if angle not in angles:
        return ["", ""]
    return [f"{angles[angle]['found']:.1f}", _number(angles[angle]["nme"])]


def _coverage(results: dict[str, Any]) -> str:
    of = {
        "Common, boxes given": results["given_boxes"],
        "Common, YuNet's faces": results["tilts"]["yunet"]["upright"],
        "WFLW, YuNet's faces": results["photos"]["yunet"],
        "WFLW, Haar's faces": results["photos"]["haar"],
    }
    rows = [
        [name, *(f"{found['coverage'][k]:.1f}" for k in ("0.5", "0.9"))]
        for name, found in of.items()
        if found["coverage"]
    ]
    return table(["% of the landmarks within the region of", "50 %", "90 %"], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
