"""Draw the numbered picture of each landmark scheme that docs/landmarks.md shows.

    python tools/draw_topologies.py /where/the/shapes/lie docs

The folder of shapes holds 300w_68.npz, cofw_29.npz and wflw_test_98.npz; what is drawn is the
mean of all shapes in one file, no shape of a person.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from PIL import Image

from landmark_kd.asm import ShapeModel
from landmark_kd.figures import COLOURS, DPI, INK, figure
from landmark_kd.topology import TOPOLOGIES, Topology

# The file of shapes of each scheme, and the arrays in it.
SHAPES = {
    29: ("cofw_29.npz", ("train", "test")),
    68: ("300w_68.npz", ("pts",)),
    98: ("wflw_test_98.npz", ("pts",)),
}
# Pixels: the pictures' widths, and the space around the face.
WIDTHS = {29: 900, 68: 1200, 98: 1400}
MARGIN = 60
LEGEND_HEIGHT = 70

LEFT, RIGHT, MIDDLE = COLOURS["baseline"], COLOURS["tolerant"], INK
LINE, MARKED = "#B8B8B8", "#D55E00"
FONT_POINTS = 9
# Of a digit and of a line of text, in pixels.
DIGIT_WIDTH, TEXT_HEIGHT = 0.66 * FONT_POINTS * DPI / 72, 0.8 * FONT_POINTS * DPI / 72
DOT = 6  # pixels that a label keeps away from a point
# Where a label may go: around its point, the nearer the better.
RADII = (15, 19, 23, 28, 34, 42)
ANGLES = 32
# What is in a label's way, in pixels of distance that it is worth going to avoid it.
ON_LABEL, ON_POINT, ON_LINE = 400.0, 200.0, 12.0
