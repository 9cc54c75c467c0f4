"""Figures: written whole, one colour a network, and the points where they belong."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from benchmarks.pfld.worst_faces import KINDS
from landmark_kd.evaluation.evaluate import FLOOR, NETWORKS
from landmark_kd.landmarks.scheme import SCHEMES
from landmark_kd.visualization import panels as face_figures
from landmark_kd.visualization import plots
from landmark_kd.visualization.panels import FacePanel, draw_faces
from tests.support.prepared_faces import BORDER, prepared_faces

pytestmark = pytest.mark.seconds


def has_colour(path: Path, colour: str) -> bool:
    image = cv2.imread(str(path))
    assert image is not None
    wanted = np.round(255 * np.array(to_rgb(colour))[::-1])
    return bool((np.abs(image - wanted).max(axis=2) <= 2).any())


def ced_table() -> pd.DataFrame:
    error = np.linspace(0, 10, 21)
    shares = {n: np.minimum(1, error / (4 + i)) for i, n in enumerate((*NETWORKS, FLOOR))}
    return pd.DataFrame({"error": error, **shares})


def test_every_network_has_a_colour_a_line_and_a_label_of_its_own() -> None:
    for look in (plots.COLOURS, plots.LABELS):
        assert set(look) == {*NETWORKS, FLOOR, *KINDS}
        assert len(set(look.values())) == len(look)
    assert set(plots.LINES) == {*NETWORKS, FLOOR, *KINDS}


def test_the_ced_shows_every_network_in_its_colour(tmp_path: Path) -> None:
    plots.draw_ced(tmp_path / "ced.png", ced_table(), "title")
    for name in (*NETWORKS, FLOOR):
        assert has_colour(tmp_path / "ced.png", plots.COLOURS[name]), name


def test_training_curves_show_every_network_in_its_colour(tmp_path: Path) -> None:
    curves = {
        name: pd.DataFrame({"step": range(5), "nme": np.linspace(20, 4 + i, 5)})
        for i, name in enumerate(NETWORKS)
    }
    plots.draw_training_curves(tmp_path / "curves.png", curves)
    for name in NETWORKS:
        assert has_colour(tmp_path / "curves.png", plots.COLOURS[name]), name


def test_a_single_epoch_can_be_drawn(tmp_path: Path) -> None:
    plots.draw_training_curves(
        tmp_path / "curves.png", {"kd": pd.DataFrame({"step": [0.0], "nme": [12.0]})}
    )
    assert has_colour(tmp_path / "curves.png", plots.COLOURS["kd"])


@pytest.mark.seconds
def test_per_landmark_errors_leave_the_mean_shape_out(tmp_path: Path) -> None:
    scheme = SCHEMES[68]
    errors = {name: np.full(68, 3.0 + i) for i, name in enumerate(NETWORKS)}
    table = pd.DataFrame(
        {"landmark": range(68), "name": scheme.names, **errors, FLOOR: np.full(68, 20.0)}
    )
    plots.draw_per_landmark(tmp_path / "with.png", table, "title")
    plots.draw_per_landmark(tmp_path / "without.png", table.drop(columns=FLOOR), "title")
    assert (tmp_path / "with.png").read_bytes() == (tmp_path / "without.png").read_bytes()
    for name in NETWORKS:
        assert has_colour(tmp_path / "with.png", plots.COLOURS[name]), name


@pytest.mark.seconds
def test_the_same_figure_is_the_same_bytes_whatever_the_users_own_style(tmp_path: Path) -> None:
    plots.draw_ced(tmp_path / "a.png", ced_table(), "title")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        plots.draw_ced(tmp_path / "b.png", ced_table(), "title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_figure_that_fails_leaves_the_one_of_before(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), plots.figure(path, 2, 2):
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_face_panel_puts_landmarks_where_they_are_in_the_crop(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "faces", 3)
    panel = FacePanel.of_face(faces, 1, faces.landmarks[1], "caption", "kd")
    around = BORDER // 2
    side = faces.info.crop_size + 2 * around
    assert panel.image.shape == (side, side, 3)
    np.testing.assert_array_equal(
        panel.image[around:-around, around:-around], faces.crops(np.array([1]))[0]
    )
    in_crop = (faces.crop_landmarks()[1] + 0.5) * faces.info.crop_size - 0.5
    np.testing.assert_allclose(panel.hard, in_crop + around, atol=1e-9)
    np.testing.assert_allclose(panel.other, panel.hard, atol=1e-9)


def test_face_images_show_each_kind_of_landmarks_in_its_colour(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "faces", 3)
    panels = [
        FacePanel.of_face(faces, row, faces.landmarks[row] + 20, "caption", kind)
        for row, kind in ((0, "baseline"), (1, "kd"), (2, "soft"))
    ]
    draw_faces(tmp_path / "faces.png", panels, SCHEMES[68], columns=2, title="title")
    for colour in (plots.COLOURS["baseline"], plots.COLOURS["kd"], face_figures.SOFT):
        assert has_colour(tmp_path / "faces.png", colour)
