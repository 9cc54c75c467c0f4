// The networks, beside the page: it stays responsive while they run.
import * as ort from "./runtime/ort.wasm.min.mjs";
import { YuNet } from "./detector.js";
import { LandmarkNetwork } from "./landmarks.js";
import { FaceTracker } from "./tracking.js";

ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
ort.env.logLevel = "error";
// YuNet's file says of its outputs what holds at 640 x 640 pixels only, and onnxruntime warns.
const ERRORS = 3;
const BLANK = { width: 1, height: 1, data: new Uint8ClampedArray(4) };

let network = null;
let tracker = null;

const answers = {
  async open() {
    const settings = await (await fetched("settings.json")).json();
    const session = await opened("model.onnx");
    const faces = settings.finds_faces
      ? new YuNet(ort, await opened("face_detector.onnx"), settings.faces)
      : null;
    network = new LandmarkNetwork(ort, session, settings.info, settings.landmarks, faces);
    // The first run takes longer than those after it.
    await network.predict(BLANK, [{ box: [0, 0, 1, 1], roll: 0 }]);
    const forget = () => new FaceTracker(network, settings.tracking, settings.smoothing);
    answers.forget = () => void (tracker = forget());
    answers.forget();
    return settings;
  },
  detect: ({ image }) => network.detect(image),
  detectInBox: ({ image, box }) => network.detectInBoxes(image, [box]),
  follow: ({ image, time }) => tracker.update(image, time),
  begin: ({ image, box, time }) => tracker.begin(image, box, time),
};

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer;
}

async function opened(name) {
  const content = await (await fetched(name)).arrayBuffer();
  return ort.InferenceSession.create(content, { executionProviders: ["wasm"], logSeverityLevel: ERRORS });
}

// One after the other: a session runs once at a time.
let last = Promise.resolve();
self.onmessage = ({ data: { id, kind, image, ...rest } }) => {
  last = last.then(async () => {
    const start = performance.now();
    try {
      const result = await answers[kind]({ image, ...rest });
      // The image goes back, so that it is not copied.
      const back = image ? [image.data.buffer] : [];
      self.postMessage({ id, result, image, ms: performance.now() - start }, back);
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
};
