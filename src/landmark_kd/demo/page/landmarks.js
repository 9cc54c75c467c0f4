// Landmarks of faces, as inference/detector.py and inference/network.py predict them. A face is
// {box, roll (radians), landmarks: [x, y] each, sigma: pixels each or null, score}.
import { sample, turnedImage } from "./crop.js";
import {
  apply, boxAround, centre, halves, invert, landmarksBox, scale, side, squareCrop, turned, wrapped,
} from "./geometry.js";

export class LandmarkNetwork {
  /** `info` is the file's metadata, `numbers` are those of inference/detector.py. */
  constructor(ort, session, info, numbers, faceDetector = null) {
    Object.assign(this, { ort, session, info, numbers, faceDetector });
  }

  /** The landmarks of regions {box, roll}: faces with `trust`, 0 to 1. */
  async predict(image, regions) {
    if (!regions.length) return [];
    const { input_size: size, margin, mean, std, points } = this.info;
    const plane = size * size;
    const input = new Float32Array(regions.length * 3 * plane);
    const maps = regions.map(({ box, roll }, face) => {
      const toCrop = squareCrop(box, margin, size, roll);
      const { data } = sample(image, toCrop, size);
      for (let channel = 0; channel < 3; channel++) {
        const start = (3 * face + channel) * plane;
        for (let i = 0; i < plane; i++) {
          input[start + i] = (data[3 * i + channel] - mean[channel]) / std[channel];
        }
      }
      return toCrop;
    });
    const tensor = new this.ort.Tensor("float32", input, [regions.length, 3, size, size]);
    const { landmarks, sigma } = await this.session.run({ image: tensor });
    return regions.map(({ box, roll }, face) => {
      const toImage = invert(maps[face]);
      const ofCrop = (v) => (v + 0.5) * size - 0.5;
      const found = Array.from({ length: points }, (_, i) => {
        const at = 2 * (face * points + i);
        return apply(toImage, [ofCrop(landmarks.data[at]), ofCrop(landmarks.data[at + 1])]);
      });
      const sigmas = sigma ? Array.from(sigma.data.slice(face * points, (face + 1) * points)) : null;
      const pixels = size / scale(maps[face]);
      return {
        box, roll, landmarks: found,
        sigma: sigmas && sigmas.map((v) => v * pixels),
        trust: sigmas ? this.#trust(sigmas) : 1,
      };
    });
  }

  /** Find the faces of an image; where none is sure it is looked at turned, too, unless told not to. */
  async detect(image, turn = true) {
    let [best, sure] = await this.#found(image, 0);
    for (const quarters of turn ? this.numbers.quarters : []) {
      if (surest(best) >= this.numbers.trusted || sure >= this.numbers.surely_there) break;
      const [faces, score] = await this.#found(image, quarters);
      if (surest(faces) > surest(best)) best = faces;
      sure = score;
    }
    return best;
  }

  /** The faces of given boxes; tilted heads get a second, upright look. */
  async detectInBoxes(image, boxes) {
    const regions = boxes.map((box) => ({ box, roll: 0 }));
    const faces = await this.predict(image, regions);
    if (this.info.box !== "landmarks") return faces.map(scored);
    const closer = faces.map((face) => this.upright(face));
    const tilted = closer.flatMap(({ roll }, i) =>
      Math.abs(wrapped(roll)) > this.numbers.tilted ? [i] : [],
    );
    const again = await this.predict(image, tilted.map((i) => closer[i]));
    tilted.forEach((i, j) => {
      if (again[j].trust >= faces[i].trust * (1 - 1e-9)) faces[i] = again[j];
    });
    return faces.map(scored);
  }

  /** The faces of regions {box, roll}, whose roll is known. */
  async detectInRegions(image, regions) {
    return (await this.predict(image, regions)).map(scored);
  }

  /** The upright box of a face's landmarks and its roll, or those it has where they cannot be right. */
  upright({ box, roll, landmarks }) {
    const found = roll + this.#roll(landmarks.map((point) => turned(point, -roll)));
    const tight = landmarksBox(landmarks.map((point) => turned(point, -found)));
    const change = side(tight) / side(box);
    const largest = this.numbers.largest_refinement;
    if (!(change > 1 / largest && change < largest)) return { box, roll };
    return { box: boxAround(turned(centre(tight), found), halves(tight)), roll: found };
  }

  async #found(image, quarters) {
    const seen = quarters ? turnedImage(image, quarters) : image;
    const found = (await this.faceDetector.find(seen)).map((face) => turnedBack(face, quarters, image));
    const faces = await this.predict(image, found.map((face) => this.#moved(face)));
    await this.#turnDoubted(image, found, faces);
    if (this.info.box === "landmarks") await this.#lookCloser(image, faces);
    const scores = found.map(({ score }) => score);
    return [faces.map((face, i) => ({ ...face, score: scores[i] * face.trust })), Math.max(0, ...scores)];
  }

  /** Let the face detector look closer at faces that may be tilted otherwise. */
  async #turnDoubted(image, found, faces) {
    const rows = [];
    const regions = [];
    for (const [i, face] of faces.entries()) {
      // A network that says no uncertainty trusts all alike.
      const sure = this.info.typical_sigma
        ? face.trust >= this.numbers.surely_trusted
        : found[i].upright;
      if (sure) continue;
      const region = this.#moved(await this.faceDetector.lookCloser(image, found[i]));
      if (!this.#apart(face, region)) continue;
      rows.push(i);
      regions.push(region);
    }
    const again = await this.predict(image, regions);
    rows.forEach((i, j) => (faces[i] = again[j]));
  }

  /** Look again at faces whose landmarks lie otherwise than the box supposed. */
  async #lookCloser(image, faces) {
    const { trusted } = this.numbers;
    const regions = faces.map((face) => this.upright(face));
    const rows = [...faces.keys()].filter(
      (i) => faces[i].trust >= trusted && this.#apart(faces[i], regions[i]),
    );
    const again = await this.predict(image, rows.map((i) => regions[i]));
    rows.forEach((i, j) => {
      if (again[j].trust >= trusted) faces[i] = again[j];
    });
  }

  /** Whether two regions differ so much that the landmarks will. */
  #apart(one, other) {
    const { far, larger, more_tilted: moreTilted } = this.numbers;
    const [x, y] = centre(one.box);
    const [otherX, otherY] = centre(other.box);
    return (
      Math.max(Math.abs(otherX - x), Math.abs(otherY - y)) > far * side(one.box) ||
      Math.abs(Math.log(side(other.box) / side(one.box))) > Math.log(larger) ||
      Math.abs(wrapped(other.roll - one.roll)) > moreTilted
    );
  }

  /** The region that the network was trained on, of one around the landmarks. */
  #moved({ box, roll }) {
    const wanted = this.numbers.place;
    if (!wanted) return { box, roll };
    const extent = [box[2] - box[0], box[3] - box[1]];
    const own = wanted.map((share, i) => share * extent[i % 2]);
    const middle = centre(own);
    const [x, y] = turned([middle[0] - extent[0] / 2, middle[1] - extent[1] / 2], roll);
    const [cx, cy] = centre(box);
    return { box: boxAround([cx + x, cy + y], halves(own)), roll };
  }

  /** The tilt of landmarks that lie roughly upright, of the lines between mirrored ones. */
  #roll(landmarks) {
    let x = 0;
    let y = 0;
    let length = 0;
    this.info.flip.forEach((partner, i) => {
      const across = landmarks[partner][0] - landmarks[i][0];
      const down = landmarks[partner][1] - landmarks[i][1];
      // Each pair is there twice, in both directions: the one to the right counts.
      if (across <= 0) return;
      x += across;
      y += down;
      length += Math.hypot(across, down);
    });
    // On a face they are parallel; where they are not the prediction is no face.
    return Math.hypot(x, y) > this.numbers.parallel * length ? Math.atan2(y, x) : 0;
  }

  /** How far a face with these sigmas (of the crop's side) is to be trusted. */
  #trust(sigmas) {
    if (!this.info.typical_sigma) return 1;
    const [middle, large] = this.info.typical_sigma;
    const mean = sigmas.reduce((sum, v) => sum + Math.log(v), 0) / sigmas.length;
    const doubt = (mean - middle) / Math.max(large - middle, 1e-3);
    return 1 / (1 + Math.exp(this.numbers.steepness * (doubt - this.numbers.half)));
  }
}

function scored(face) {
  return { ...face, score: face.trust };
}

function surest(faces) {
  return Math.max(-1, ...faces.map(({ score }) => score));
}

/** A face in an image, of one found in the image after it was turned by quarters clockwise. */
function turnedBack(face, quarters, { width, height }) {
  if (!quarters) return face;
  const [turnedWidth, turnedHeight] = quarters % 2 ? [height, width] : [width, height];
  const angle = (quarters * Math.PI) / 2;
  const middle = (box) => {
    const [x, y] = centre(box);
    const away = turned([x - (turnedWidth - 1) / 2, y - (turnedHeight - 1) / 2], -angle);
    return [away[0] + (width - 1) / 2, away[1] + (height - 1) / 2];
  };
  const [across, down] = halves(face.seen);
  return {
    ...face,
    box: boxAround(middle(face.box), halves(face.box)),
    roll: wrapped(face.roll - angle),
    // This one stands upright in the image, whatever the face does.
    seen: boxAround(middle(face.seen), quarters % 2 ? [down, across] : [across, down]),
  };
}
