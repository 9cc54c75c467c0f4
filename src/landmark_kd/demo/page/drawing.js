// Landmarks on a canvas, as visualization/overlay.py draws them: lines and dots with a dark rim, those
// that the network is unsure of fainter, and here of another hue as well.
import { landmarksBox, side } from "./geometry.js";

// RGB of a landmark that is sure and of one that is not.
const SURE_INK = [92, 255, 160];
const UNSURE_INK = [255, 190, 92];
const RIM_INK = "rgb(0 0 0 / 0.55)";
// Width of lines, in shares of the face's extent, and at least in units of the canvas.
const LINE = 1 / 170;
const THINNEST = 1.3;

/**
 * Draw faces onto a context.
 *
 * `zoom` is how many of the context's units make a pixel of the image; `look` says what to draw:
 * {contours, drawing, lines, region}, `region` being the multiple of sigma to circle, or 0.
 */
export function drawFaces(context, faces, zoom, look) {
  context.lineCap = "round";
  context.lineJoin = "round";
  for (const { landmarks, sigma } of faces) {
    const extent = side(landmarksBox(landmarks));
    const points = landmarks.map(([x, y]) => [(x + 0.5) * zoom, (y + 0.5) * zoom]);
    const doubts = landmarks.map((_, i) => doubt(sigma && sigma[i] / extent, look.drawing.sure));
    const thickness = Math.max(THINNEST, extent * zoom * LINE);
    if (look.region && sigma) {
      points.forEach((point, i) => ring(context, point, sigma[i] * look.region * zoom, doubts[i]));
    }
    const lines = look.lines ? look.contours.flatMap(([indices, closed]) => segments(indices, closed)) : [];
    for (const rim of [true, false]) {
      for (const [from, to] of lines) {
        const unsure = (doubts[from] + doubts[to]) / 2;
        context.globalAlpha = opacity(unsure, look.drawing.faintest) * (rim ? 0.7 : 0.9);
        context.strokeStyle = rim ? RIM_INK : ink(unsure);
        context.lineWidth = thickness * (rim ? 2.2 : 1);
        context.beginPath();
        context.moveTo(...points[from]);
        context.lineTo(...points[to]);
        context.stroke();
      }
      points.forEach(([x, y], i) => {
        context.globalAlpha = opacity(doubts[i], look.drawing.faintest);
        context.fillStyle = rim ? RIM_INK : ink(doubts[i]);
        context.beginPath();
        context.arc(x, y, thickness * (rim ? 2 : 1.4), 0, 2 * Math.PI);
        context.fill();
      });
    }
    context.globalAlpha = 1;
  }
}

/** Draw a box [x0, y0, x1, y1], in the context's units, that is being drawn by hand. */
export function drawBox(context, [x0, y0, x1, y1]) {
  context.lineWidth = 2;
  context.strokeStyle = "white";
  context.fillStyle = "rgb(255 255 255 / 0.12)";
  context.shadowColor = "black";
  context.shadowBlur = 4;
  context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.shadowBlur = 0;
}

function ring(context, [x, y], radius, unsure) {
  context.globalAlpha = 0.22;
  context.fillStyle = ink(unsure);
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.globalAlpha = 0.7;
  context.lineWidth = 1;
  context.strokeStyle = ink(unsure);
  context.stroke();
}

/** 0 of a landmark whose sigma, in shares of the face, is small, to 1 of one whose is large. */
function doubt(share, [small, large]) {
  return share ? Math.min(Math.max((share - small) / (large - small), 0), 1) : 0;
}

function opacity(unsure, faintest) {
  return 1 - unsure * (1 - faintest);
}

function ink(unsure) {
  const [red, green, blue] = SURE_INK.map((v, i) => Math.round(v + unsure * (UNSURE_INK[i] - v)));
  return `rgb(${red} ${green} ${blue})`;
}

function segments(indices, closed) {
  const pairs = indices.slice(1).map((to, i) => [indices[i], to]);
  return closed ? [...pairs, [indices[indices.length - 1], indices[0]]] : pairs;
}
