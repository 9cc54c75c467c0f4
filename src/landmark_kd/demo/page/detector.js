// YuNet, as inference/face_detector.py and OpenCV's FaceDetectorYN run it: finds the faces of an
// image, upright boxes around the landmarks to expect and by how much the heads are tilted.
import { resized, sample } from "./crop.js";
import { apply, boxAround, centre, halves, invert, overlap, squareCrop, turned } from "./geometry.js";

const STRIDES = [8, 16, 32];
// The input's sides are filled up with black to multiples of the coarsest stride, as OpenCV does.
const WHOLE = 32;

export class YuNet {
  /** `numbers` are those of inference/face_detector.py. */
  constructor(ort, session, numbers) {
    Object.assign(this, { ort, session, numbers });
  }

  /**
   * The faces of an image, the highest score first: {box, roll, score, seen, upright}, where `seen` is
   * the detector's own box and `upright` whether it is sure of the tilt.
   */
  async find(image) {
    const { sure_score: sureScore, sure_roll: sureRoll, landmark_box: coefficients } = this.numbers;
    let faces = [];
    for (const longer of this.#sides(image)) {
      faces = await this.#look(image, longer);
      if (faces.length) break;
    }
    return faces
      .map(({ box: seen, points, score }) => {
        const { box, roll } = landmarkBox(points, coefficients);
        return { box, roll, score, seen, upright: score >= sureScore && Math.abs(roll) <= sureRoll };
      })
      .sort((one, other) => other.score - one.score);
  }

  /** Lengths to reduce the longer side to, tried until faces are found. */
  #sides({ width, height }) {
    const longer = Math.max(width, height);
    const sides = this.numbers.longer_sides;
    const smaller = sides.filter((side) => side < longer);
    return smaller.length ? [...smaller, Math.min(longer, sides.at(-1))] : [longer];
  }

  /** Faces {box, points, score} of an image whose longer side is made so many pixels long. */
  async #look(image, longer) {
    const zoom = longer / Math.max(image.width, image.height);
    const width = Math.max(1, Math.round(image.width * zoom));
    const height = Math.max(1, Math.round(image.height * zoom));
    if (Math.min(width, height) < this.numbers.smallest_seen) return [];
    const across = image.width / width;
    const down = image.height / height;
    const back = ([x, y]) => [(x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5];
    return (await this.#run(resized(image, width, height))).map(({ box, points, score }) => ({
      box: [...back(box.slice(0, 2)), ...back(box.slice(2))],
      points: points.map(back),
      score,
    }));
  }

  /** A face as it is seen in a small crop, turned to where it is surest: with that box and roll. */
  async lookCloser(image, face) {
    const { turns, closer: side, closer_pixels: size, landmark_box: coefficients } = this.numbers;
    const [halfWidth, halfHeight] = halves(face.seen);
    const half = Math.sqrt(halfWidth * halfHeight);
    const square = boxAround(centre(face.seen), [half, half]);
    const looks = [];
    for (const turn of turns) {
      const toCrop = squareCrop(square, side - 1, size, turn);
      const toImage = invert(toCrop);
      // Of the faces in the crop the one in its middle is meant.
      const found = (await this.#run(sample(image, toCrop, size))).find(({ points }) =>
        mean(points).every((v) => Math.abs(v - size / 2) < size / 4),
      );
      if (!found) continue;
      const points = found.points.map((point) => apply(toImage, point));
      looks.push({ ...landmarkBox(points, coefficients), score: found.score });
    }
    return looks.length ? { ...face, ...this.#likeliest(looks) } : face;
  }

  /** The box and roll of the turn that is taken: where none scores high, upright ones count more. */
  #likeliest(looks) {
    const { clear_score: clear, upright } = this.numbers;
    const unclear = looks.every(({ score }) => score < clear);
    const worth = ({ roll, score }) => score - (unclear ? (upright * (1 - Math.cos(roll))) / 2 : 0);
    const { box, roll } = looks.reduce((one, other) => (worth(other) > worth(one) ? other : one));
    return { box, roll };
  }

  /** Faces {box, points, score} in pixels of an image that is looked at as it is. */
  async #run(image) {
    const width = WHOLE * Math.ceil(image.width / WHOLE);
    const height = WHOLE * Math.ceil(image.height / WHOLE);
    const input = new this.ort.Tensor("float32", planes(image, width, height), [1, 3, height, width]);
    const outputs = await this.session.run({ [this.session.inputNames[0]]: input });
    const found = STRIDES.flatMap((stride) => this.#decoded(outputs, stride, width, height));
    found.sort((one, other) => other.score - one.score);
    const kept = [];
    for (const face of found) {
      if (kept.every(({ box }) => overlap(box, face.box) <= this.numbers.overlap)) kept.push(face);
    }
    return kept;
  }

  #decoded(outputs, stride, inputWidth, inputHeight) {
    const columns = inputWidth / stride;
    const cells = (columns * inputHeight) / stride;
    const [classes, objects, boxes, points] = ["cls", "obj", "bbox", "kps"].map(
      (name) => outputs[`${name}_${stride}`].data,
    );
    const found = [];
    for (let i = 0; i < cells; i++) {
      const score = Math.sqrt(clipped(classes[i]) * clipped(objects[i]));
      if (score < this.numbers.least_score) continue;
      const column = i % columns;
      const row = Math.floor(i / columns);
      const at = ([x, y]) => [(x + column) * stride, (y + row) * stride];
      const [x, y, width, height] = boxes.subarray(4 * i, 4 * i + 4);
      const extent = [(Math.exp(width) * stride) / 2, (Math.exp(height) * stride) / 2];
      const five = [0, 2, 4, 6, 8].map((j) => at([points[10 * i + j], points[10 * i + j + 1]]));
      found.push({ box: boxAround(at([x, y]), extent), points: five, score });
    }
    return found;
  }
}

/** An image as planes (3, height, width) BGR, its corner in theirs, the rest black. */
function planes({ data, channels = 4, ...image }, width, height) {
  const plane = width * height;
  const values = new Float32Array(3 * plane);
  let from = 0;
  for (let row = 0; row < image.height; row++) {
    let to = row * width;
    for (let column = 0; column < image.width; column++, to++, from += channels) {
      values[to] = data[from + 2];
      values[plane + to] = data[from + 1];
      values[2 * plane + to] = data[from];
    }
  }
  return values;
}

/** How a face lies, of its five points: right and left eye, nose, right and left mouth corner. */
function faceAxes(points) {
  const [rightEye, leftEye, nose, rightMouth, leftMouth] = points;
  const of = (sum) => [0, 1].map((i) => sum(i) / 2);
  const across = of((i) => leftEye[i] - rightEye[i] + leftMouth[i] - rightMouth[i]);
  const down = of((i) => rightMouth[i] + leftMouth[i] - rightEye[i] - leftEye[i]);
  // A turned head shortens the one and a nodding one the other.
  const axis = [(across[0] + down[1]) / 2, (across[1] - down[0]) / 2];
  const length = Math.hypot(...axis);
  const roll = Math.atan2(axis[1], axis[0]);
  const middle = mean(points);
  const away = turned([nose[0] - middle[0], nose[1] - middle[1]], -roll);
  return { middle, length, roll, nose: away.map((v) => v / length) };
}

/** The upright box of the landmarks to expect, and the roll. */
function landmarkBox(points, coefficients) {
  const { middle, length, roll, nose } = faceAxes(points);
  const box = [0, 1, 2, 3].map(
    (i) => length * (coefficients[0][i] + nose[0] * coefficients[1][i] + nose[1] * coefficients[2][i]),
  );
  const [x, y] = turned(centre(box), roll);
  const half = halves(box).map((v) => Math.max(v, 5e-7));
  return { box: boxAround([middle[0] + x, middle[1] + y], half), roll };
}

function mean(points) {
  return [0, 1].map((i) => points.reduce((sum, point) => sum + point[i], 0) / points.length);
}

function clipped(value) {
  return Math.min(Math.max(value, 0), 1);
}
