// Landmarks of a face in a box, with onnxruntime-web: npm install onnxruntime-web, and
//     node predict.mjs landmarks.onnx image.ppm X0 Y0 X1 Y1
// prints [x, y] of each landmark as JSON. In a browser the image is a canvas's ImageData instead.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

/** The landmarks [x, y] in an image {width, height, channels, data}, of the face in a box. */
async function predict(session, info, { width, height, channels, data }, [x0, y0, x1, y1]) {
  const { input_size: size, margin, mean, std } = info;
  // A pixel of the crop spans so many of the image; from 2 on reduce the image first.
  const span = (Math.max(x1 - x0, y1 - y0) * (1 + margin)) / size;
  const [left, top] = [x0 + x1, y0 + y1].map((sum) => (sum - span * (size - 1)) / 2);
  const at = (x, y, c) => {
    const [column, row] = [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
    return data[(row * width + column) * channels + c];
  };
  const input = new Float32Array(3 * size * size).map((_, i) => {
    const [c, row, column] = [Math.floor(i / size / size), Math.floor(i / size) % size, i % size];
    const [x, y] = [left + column * span, top + row * span];
    const [l, t] = [Math.floor(x), Math.floor(y)];
    const line = (v) => at(l, v, c) * (l + 1 - x) + at(l + 1, v, c) * (x - l);
    return (line(t) * (t + 1 - y) + line(t + 1) * (y - t) - mean[c]) / std[c];
  });
  const image = new ort.Tensor("float32", input, [1, 3, size, size]);
  const { landmarks } = await session.run({ image });
  const ofImage = (v, first) => first + ((v + 0.5) * size - 0.5) * span;
  return Array.from({ length: info.points }, (_, i) => [
    ofImage(landmarks.data[2 * i], left), ofImage(landmarks.data[2 * i + 1], top),
  ]);
}

/** What the file says of itself: field 14, metadata_props, of ONNX's ModelProto. */
function metadata(file) {
  const entries = [...fields(file, 0, file.length)].filter(([number]) => number === 14);
  const texts = entries.map(([, start, end]) =>
    [...fields(file, start, end)].map(([, from, to]) => new TextDecoder().decode(file.subarray(from, to))));
  // What is not JSON is words.
  const read = (text) => { try { return JSON.parse(text); } catch { return text; } };
  return Object.fromEntries(texts.map(([name, text]) => [name, read(text)]));
}

/** The fields of a message that have a length: their numbers, where they begin and end. */
function* fields(file, at, end) {
  const varint = () => {
    for (let value = 0, unit = 1; ; unit *= 128) {
      value += (file[at] % 128) * unit;
      if (file[at++] < 128) return value;
    }
  };
  while (at < end) {
    const [tag, value] = [varint(), varint()];
    if (tag % 8 !== 2) continue;
    yield [Math.floor(tag / 8), at, at + value];
    at += value;
  }
}

const [model, path, ...box] = process.argv.slice(2);
const file = readFileSync(model);
// A PPM file: P6, width, height, 255, and the pixels.
const content = readFileSync(path);
const start = content.subarray(0, 50).toString("latin1");
const [header, width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(start);
const image = { width: +width, height: +height, channels: 3, data: content.subarray(header.length) };
const session = await ort.InferenceSession.create(file);
console.log(JSON.stringify(await predict(session, metadata(file), image, box.map(Number))));
