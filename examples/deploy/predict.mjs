// node predict.mjs MODEL.onnx IMAGE.ppm X0 Y0 X1 Y1, after npm install onnxruntime-web,
// prints [x, y] of each landmark of the face in the box as JSON. In a browser the pixels are a
// canvas's ImageData, four bytes each.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const [model, file] = process.argv.slice(2, 4).map((path) => readFileSync(path));
const [x0, y0, x1, y1] = process.argv.slice(4).map(Number);

// Of the file's metadata: a tag, the name's length, the name, a tag, the value's length, the value.
const [size, margin, mean, std] = ["input_size", "margin", "mean", "std"].map((name) => {
  const entry = `\n${String.fromCharCode(name.length)}${name}\x12`;
  const start = model.indexOf(entry, 0, "latin1") + entry.length;
  return JSON.parse(model.subarray(start + 1, start + 1 + model[start]));
});

// P6, width, height, 255, and the pixels.
const [header, width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(file.subarray(0, 50).toString("latin1"));
const pixels = file.subarray(header.length);

const side = Math.max(x1 - x0, y1 - y0) * (1 + margin);
const [left, top] = [(x0 + x1 - side) / 2, (y0 + y1 - side) / 2];
const clamp = (v, largest) => Math.min(Math.max(v, 0), largest);
const input = new Float32Array(3 * size * size).map((_, i) => {
  const [c, row, column] = [Math.floor(i / size / size), Math.floor(i / size) % size, i % size];
  // Beyond the image its edge is repeated. Where side / size is 2 or more, reduce it first.
  const x = clamp(left + ((column + 0.5) / size) * side, width - 1);
  const y = clamp(top + ((row + 0.5) / size) * side, height - 1);
  const [u, v] = [Math.floor(x), Math.floor(y)];
  const at = (u, v) => pixels[(clamp(v, height - 1) * width + clamp(u, width - 1)) * 3 + c];
  const line = (v) => at(u, v) * (u + 1 - x) + at(u + 1, v) * (x - u);
  return (line(v) * (v + 1 - y) + line(v + 1) * (y - v) - mean[c]) / std[c];
});
const session = await ort.InferenceSession.create(model);
const image = new ort.Tensor("float32", input, [1, 3, size, size]);
const { data } = (await session.run({ image })).landmarks;
const point = (i) => [left + (data[2 * i] + 0.5) * side, top + (data[2 * i + 1] + 0.5) * side];
console.log(JSON.stringify(Array.from({ length: data.length / 2 }, (_, i) => point(i))));
