// Boxes, square crops and affine maps, as landmarks/geometry.py has them: points are [x, y] in
// pixels, centres at integers; a map [a, b, c, d, e, f] sends x, y to a x + b y + c, d x + e y + f.

/** The map from image pixels to a crop around `box`, turned by `roll` (radians, clockwise). */
export function squareCrop(box, margin, size, roll = 0) {
  const [x0, y0, x1, y1] = box;
  const zoom = size / (Math.max(x1 - x0, y1 - y0) * (1 + margin));
  const cosine = zoom * Math.cos(roll);
  const sine = zoom * Math.sin(roll);
  const [x, y] = centre(box);
  const middle = (size - 1) / 2;
  return [
    cosine, sine, middle - cosine * x - sine * y,
    -sine, cosine, middle + sine * x - cosine * y,
  ];
}

export function apply([a, b, c, d, e, f], [x, y]) {
  return [a * x + b * y + c, d * x + e * y + f];
}

export function invert([a, b, c, d, e, f]) {
  const area = a * e - b * d;
  return [
    e / area, -b / area, (b * f - e * c) / area,
    -d / area, a / area, (d * c - a * f) / area,
  ];
}

/** How many pixels a map makes of one. */
export function scale([a, b, , d, e]) {
  return Math.sqrt(Math.abs(a * e - b * d));
}

/** A vector turned clockwise, as one sees it with y down. */
export function turned([x, y], angle) {
  const cosine = Math.cos(angle);
  const sine = Math.sin(angle);
  return [cosine * x - sine * y, sine * x + cosine * y];
}

/** An angle in radians, from -pi to pi. */
export function wrapped(angle) {
  const full = 2 * Math.PI;
  return ((((angle + Math.PI) % full) + full) % full) - Math.PI;
}

export function landmarksBox(points) {
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

export function centre([x0, y0, x1, y1]) {
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}

export function halves([x0, y0, x1, y1]) {
  return [(x1 - x0) / 2, (y1 - y0) / 2];
}

export function boxAround([x, y], [halfWidth, halfHeight]) {
  return [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
}

/** The box's longer side. */
export function side(box) {
  return 2 * Math.max(...halves(box));
}

/** Intersection over union. */
export function overlap(one, other) {
  const across = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const down = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  const common = Math.max(across, 0) * Math.max(down, 0);
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return common / (area(one) + area(other) - common);
}
