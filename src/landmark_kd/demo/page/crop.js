// Images cut and reduced as Python does it (imaging/crops.py and OpenCV's INTER_AREA): a canvas
// would sample otherwise, in each browser differently. An image is {width, height, data}: an
// ImageData (RGBA), or one of ours with `channels` 3 (RGB).
import { apply, invert, scale } from "./geometry.js";

/**
 * Cut a square crop: blocks of whole pixels are averaged, then sampled bilinearly; beyond the image
 * its edge pixels are repeated.
 *
 * `toCrop` maps the image's pixels to those of the crop, which is (size, size) RGB.
 */
export function sample(image, toCrop, size) {
  const toImage = invert(toCrop);
  const longest = Math.max(image.width, image.height);
  const block = Math.max(1, Math.floor(Math.min(scale(toImage) + 1e-6, longest)));
  const { part, x0, y0 } = block === 1 ? { part: image, x0: 0, y0: 0 } : reduced(image, toImage, size, block);
  const { width, height, data } = part;
  const channels = part.channels ?? 4;
  const crop = new Uint8ClampedArray(size * size * 3);
  const right = width - 1;
  const bottom = height - 1;
  // From a pixel of the image to one of the part: its outer edge -0.5 lies at x0 - 0.5.
  const [a, b, c, d, e, f] = toImage;
  let at = 0;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const x = (a * column + b * row + c - x0 + 0.5) / block - 0.5;
      const y = (d * column + e * row + f - y0 + 0.5) / block - 0.5;
      const left = Math.floor(x);
      const top = Math.floor(y);
      const u = x - left;
      const v = y - top;
      const l = clamp(left, right);
      const r = clamp(left + 1, right);
      const upper = clamp(top, bottom) * width;
      const lower = clamp(top + 1, bottom) * width;
      const i = (upper + l) * channels;
      const j = (upper + r) * channels;
      const k = (lower + l) * channels;
      const m = (lower + r) * channels;
      for (let channel = 0; channel < 3; channel++) {
        const above = data[i + channel] * (1 - u) + data[j + channel] * u;
        const below = data[k + channel] * (1 - u) + data[m + channel] * u;
        crop[at++] = above * (1 - v) + below * v;
      }
    }
  }
  return { width: size, height: size, channels: 3, data: crop };
}

/** The part of the image that a crop needs, each block of it averaged to a pixel. */
function reduced(image, toImage, size, block) {
  const low = -0.5;
  const high = size - 0.5;
  const corners = [[low, low], [low, high], [high, low], [high, high]];
  const reached = corners.map((corner) => apply(toImage, corner));
  const [firstX, lastX] = needed(reached.map((point) => point[0]), block, image.width);
  const [firstY, lastY] = needed(reached.map((point) => point[1]), block, image.height);
  const width = lastX - firstX;
  const height = lastY - firstY;
  const data = new Uint8ClampedArray(width * height * 3);
  const stride = image.channels ?? 4;
  const area = block * block;
  let at = 0;
  for (let row = firstY; row < lastY; row++) {
    for (let column = firstX; column < lastX; column++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let y = row * block; y < (row + 1) * block; y++) {
        const line = clamp(y, image.height - 1) * image.width;
        for (let x = column * block; x < (column + 1) * block; x++) {
          const i = (line + clamp(x, image.width - 1)) * stride;
          red += image.data[i];
          green += image.data[i + 1];
          blue += image.data[i + 2];
        }
      }
      data[at++] = red / area;
      data[at++] = green / area;
      data[at++] = blue / area;
    }
  }
  return { part: { width, height, channels: 3, data }, x0: firstX * block, y0: firstY * block };
}

/** First and last + 1 of the blocks of `length` pixels that coordinates reach. */
function needed(coordinates, block, length) {
  const blocks = Math.ceil(length / block);
  const first = Math.min(Math.max(Math.floor(Math.floor(Math.min(...coordinates)) / block), 0), blocks - 1);
  const last = Math.floor(Math.ceil(Math.max(...coordinates)) / block) + 1;
  return [first, Math.min(Math.max(last, first + 1), blocks)];
}

function clamp(value, largest) {
  return value < 0 ? 0 : value > largest ? largest : value;
}

/** The image reduced to a size: each pixel is the average of the area that it covers. */
export function resized(image, width, height) {
  if (width === image.width && height === image.height) return image;
  const stride = image.channels ?? 4;
  const columns = shares(image.width, width);
  const rows = shares(image.height, height);
  const data = new Uint8ClampedArray(width * height * 3);
  // A row of the result at a time: rows of the image are added up, then columns of the sum.
  const sums = new Float32Array(image.width * 3);
  for (let row = 0; row < height; row++) {
    sums.fill(0);
    rows[row].forEach(([y, share]) => {
      let at = y * image.width * stride;
      for (let i = 0; i < sums.length; i += 3, at += stride) {
        sums[i] += share * image.data[at];
        sums[i + 1] += share * image.data[at + 1];
        sums[i + 2] += share * image.data[at + 2];
      }
    });
    for (let column = 0; column < width; column++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (const [x, share] of columns[column]) {
        red += share * sums[3 * x];
        green += share * sums[3 * x + 1];
        blue += share * sums[3 * x + 2];
      }
      data.set([red, green, blue], (row * width + column) * 3);
    }
  }
  return { width, height, channels: 3, data };
}

/** For each of `count` equal parts of 0..length the pixels [index, share] that it covers. */
function shares(length, count) {
  const span = length / count;
  return Array.from({ length: count }, (_, part) => {
    const from = part * span;
    const to = Math.min(from + span, length);
    const covered = [];
    for (let i = Math.floor(from); i < to - 1e-9; i++) {
      covered.push([i, (Math.min(i + 1, to) - Math.max(i, from)) / span]);
    }
    return covered;
  });
}

/** The image (RGBA) turned clockwise by 1, 2 or 3 quarters. */
export function turnedImage(image, quarters) {
  const { width, height } = image;
  // Where the first pixel comes from, and how far apart neighbours to the right and below lie.
  const [start, across, down] = {
    1: [(height - 1) * width, -width, 1],
    2: [height * width - 1, -1, -width],
    3: [width - 1, width, -1],
  }[quarters];
  const size = quarters % 2 ? { width: height, height: width } : { width, height };
  const pixels = new Uint32Array(image.data.buffer, image.data.byteOffset, width * height);
  const result = new Uint32Array(width * height);
  let at = 0;
  for (let row = 0; row < size.height; row++) {
    let from = start + row * down;
    for (let column = 0; column < size.width; column++, from += across) result[at++] = pixels[from];
  }
  return { ...size, data: new Uint8ClampedArray(result.buffer) };
}
