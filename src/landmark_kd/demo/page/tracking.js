// Faces followed from frame to frame, as inference/tracking.py does it: each is looked for in the box
// of its last landmarks; the whole image is searched where none is known, and now and then.
import {
  boxAround, centre, halves, landmarksBox, overlap, side, turned,
} from "./geometry.js";
import { OneEuroFilter } from "./smoothing.js";

export class FaceTracker {
  #tracks = [];
  #lost = [];
  #nextId = 0;
  #unsearched = 0;
  #time = -Infinity;

  /** `numbers` are those of inference/tracking.py, `smoothing` those of inference/smoothing.py. */
  constructor(network, numbers, smoothing) {
    Object.assign(this, { network, numbers, smoothing });
  }

  /** The faces of the next frame, `time` in seconds: {id, …}, their landmarks smoothed. */
  async update(image, time) {
    const { remembered, detect_every: every } = this.numbers;
    const step = time - this.#time;
    this.#time = time;
    this.#lost = this.#lost.filter((track) => time - track.lostAt <= remembered);
    await this.#follow(image, step);
    this.#unsearched += 1;
    const due = !this.#tracks.length || this.#lost.length || this.#unsearched >= every;
    if (this.network.faceDetector && due) {
      await this.#add(await this.network.detect(image, false), image);
      this.#unsearched = 0;
    }
    return this.#tracks.map((track) => this.#result(track));
  }

  /** Follow the face in a box that a user drew; false where the network sees none in it. */
  async begin(image, box, time) {
    this.#time = time;
    this.#tracks = this.#tracks.filter(
      ({ face }) => overlap(landmarksBox(face.landmarks), box) < this.numbers.same_face,
    );
    const before = this.#tracks.length;
    const [face] = await this.network.detectInBoxes(image, [box]);
    await this.#add([this.network.upright(face)], image);
    return this.#tracks.length > before;
  }

  async #follow(image, step) {
    const known = this.#tracks;
    this.#tracks = [];
    const regions = known.map((track) => this.#nextRegion(track, step));
    const faces = await this.network.detectInRegions(image, regions);
    known.forEach((track, i) => {
      const face = faces[i];
      if (this.#isFollowed(track.face, face, image)) {
        if (step > 0) {
          const [before, now] = [track.face, face].map((f) => centre(landmarksBox(f.landmarks)));
          track.velocity = [(now[0] - before[0]) / step, (now[1] - before[1]) / step];
        }
        track.face = face;
        this.#tracks.push(track);
      } else {
        track.lostAt = this.#time;
        this.#lost.push(track);
      }
    });
  }

  #isFollowed(before, face, { width, height }) {
    const { lowest_score: lowest, largest_change: largest, twice } = this.numbers;
    const box = landmarksBox(face.landmarks);
    const change = side(box) / side(landmarksBox(before.landmarks));
    const [x, y] = centre(box);
    const inside = x >= 0 && x < width && y >= 0 && y < height;
    const alike = change > 1 / largest && change < largest;
    return face.score >= lowest && alike && inside && !this.#isKnown(box, twice);
  }

  /** Follow those of the faces, or regions {box, roll}, that are not followed yet. */
  async #add(found, image) {
    const { same_face: same, lowest_score: lowest } = this.numbers;
    const unknown = found.filter(
      ({ box, landmarks }) => !this.#isKnown(landmarks ? landmarksBox(landmarks) : box, same),
    );
    // Once more, as faces that are followed are: one measure of trust for all of them.
    const faces = await this.network.detectInRegions(image, unknown);
    for (const face of faces) {
      const box = landmarksBox(face.landmarks);
      if (face.score < lowest || this.#isKnown(box, same)) continue;
      this.#tracks.push({
        id: this.#knownAgain(box),
        face,
        boxInLandmarks: this.#boxInLandmarks(face),
        filter: new OneEuroFilter(this.smoothing),
        velocity: [0, 0],
      });
    }
    this.#tracks.sort((one, other) => one.id - other.id);
  }

  /** The number of the nearest lost face, or a new one. */
  #knownAgain(box) {
    const distances = this.#lost.map(({ face }) => {
      const before = landmarksBox(face.landmarks);
      const [x, y] = centre(box);
      const [beforeX, beforeY] = centre(before);
      return Math.hypot(x - beforeX, y - beforeY) / side(before);
    });
    const nearest = distances.indexOf(Math.min(...distances));
    if (nearest >= 0 && distances[nearest] <= this.numbers.near) {
      return this.#lost.splice(nearest, 1)[0].id;
    }
    return this.#nextId++;
  }

  /** Where next boxes lie in the landmarks' upright ones, in units of these. */
  #boxInLandmarks(face) {
    if (this.network.info.box === "landmarks") return [-0.5, -0.5, 0.5, 0.5];
    const tight = this.network.upright(face).box;
    const [x, y] = centre(face.box);
    const [tightX, tightY] = centre(tight);
    const away = turned([x - tightX, y - tightY], -face.roll);
    const extent = [tight[2] - tight[0], tight[3] - tight[1]];
    return boxAround(away, halves(face.box)).map((v, i) => v / extent[i % 2]);
  }

  #nextRegion({ face, boxInLandmarks, velocity }, step) {
    const { box: upright, roll } = this.network.upright(face);
    const extent = [upright[2] - upright[0], upright[3] - upright[1]];
    const box = boxInLandmarks.map((v, i) => v * extent[i % 2]);
    const [x, y] = turned(centre(box), roll);
    const middle = centre(upright);
    const ahead = velocity.map((v) => v * step);
    const far = Math.hypot(...ahead);
    const swift = far > this.numbers.swift * side(upright) && far < side(upright);
    const goesOn = swift ? ahead : [0, 0];
    return { box: boxAround([middle[0] + x + goesOn[0], middle[1] + y + goesOn[1]], halves(box)), roll };
  }

  #isKnown(box, least) {
    return this.#tracks.some(({ face }) => overlap(landmarksBox(face.landmarks), box) >= least);
  }

  #result({ id, face, filter }) {
    const extent = side(landmarksBox(face.landmarks));
    return { ...face, id, landmarks: filter.next(face.landmarks, this.#time, extent) };
  }
}
