// What a person sees and presses.
import { Camera } from "./camera.js";
import { Engine } from "./engine.js";
import { Stage } from "./stage.js";

// Longer sides are reduced to this: no screen shows more, and some browsers' canvases end here.
const LONGEST_SIDE = 4096;
// The region of landmarks that is circled covers so many of them.
const REGION = 0.9;
// Numbers of the last frames are shown as their mean.
const FRAMES = 20;
// The name of what the camera shows.
const CAMERA = "camera";

const $ = (id) => document.getElementById(id);
const engine = new Engine();
const stage = new Stage($("frame"), onBox);
const camera = new Camera(() => {
  leaveCamera();
  say("The camera went away.", true);
});
let settings = null;
// What is on the stage: {name, image (ImageData), mirrored}.
let shown = null;
// Counts what was asked for, so that a late answer to what is gone is not shown.
let turn = 0;
// A box drawn before the camera, to be followed from the next frame on.
let boxToFollow = null;

function say(sentence, isError = false) {
  $("message").textContent = sentence;
  $("message").classList.toggle("error", isError);
}

function showNumbers(ms, faces, rate = null) {
  $("time").textContent = ms === null ? "–" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  $("count").textContent = faces === null ? "–" : faces;
  $("timed").textContent = shown?.name === CAMERA ? "a frame" : "this image";
  $("rate").textContent = rate === null ? "–" : Math.round(rate);
}

/** Ask for a box by hand, or not: then a finger on the image scrolls the page. */
function askForBox(asked) {
  $("frame").classList.toggle("asked", asked);
}

function show(image, faces, mirrored) {
  document.body.classList.add("filled");
  stage.show(image, faces, mirrored);
  for (const id of ["save-image", "save-points"]) $(id).disabled = !faces.length;
}

const NO_FACE = "No face was found. Drag a box around one, from the brows to the chin.";
const NO_DETECTOR = "Drag a box around a face, from the brows to the chin.";
const NO_FACE_THERE = "The network sees no face in that box; drag it from the brows to the chin.";

async function onFile(file) {
  const mine = ++turn;
  leaveCamera();
  let image;
  try {
    image = await read(file);
  } catch {
    if (mine === turn) {
      const name = file.name || "That";
      say(`${name} is not an image that this browser can show; give a JPEG, PNG or WebP file.`, true);
    }
    return;
  }
  if (mine !== turn) return;
  shown = { name: file.name || "image", image, mirrored: false };
  show(image, [], false);
  showNumbers(null, null);
  if (!settings.finds_faces) {
    askForBox(true);
    say(NO_DETECTOR);
    return;
  }
  say("Looking for faces …");
  await ask("detect", {}, mine, (faces) => {
    askForBox(!faces.length);
    say(faces.length ? "" : NO_FACE);
    return faces;
  });
}

async function onBox(box) {
  if (camera.isOn) {
    boxToFollow = box;
    return;
  }
  if (!shown) return;
  const mine = ++turn;
  const before = stage.faces;
  await ask("detectInBox", { box }, mine, ([face]) => {
    say("");
    return [...before.filter((other) => !covers(face, other)), face];
  });
}

/** Whether two faces are one: the centre of the one lies in the box of the other. */
function covers({ box: [x0, y0, x1, y1] }, { box: other }) {
  const [x, y] = [(other[0] + other[2]) / 2, (other[1] + other[3]) / 2];
  return x > x0 && x < x1 && y > y0 && y < y1;
}

/** Ask about the image shown; `then` turns the result into the faces to show. */
async function ask(kind, details, mine, then) {
  const asked = shown;
  // A copy: the image stays here, for a second question while the first is on its way.
  const data = new Uint8ClampedArray(asked.image.data);
  const { width, height } = asked.image;
  try {
    const { result, ms } = await engine.ask(kind, { ...details, image: { width, height, data } });
    if (mine !== turn) return;
    const faces = then(result);
    show(asked.image, faces, asked.mirrored);
    showNumbers(ms, faces.length);
  } catch (error) {
    if (mine === turn) fail(error);
  }
}

/** The image of a file as ImageData, upright, its colours as they are in the file. */
async function read(file) {
  const bitmap = await createImageBitmap(file, {
    colorSpaceConversion: "none",
    imageOrientation: "from-image",
  });
  const zoom = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((v) => Math.max(1, Math.round(v * zoom)));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

async function toggleCamera() {
  if (camera.isOn) {
    turn++;
    leaveCamera();
    say("");
    return;
  }
  const mine = ++turn;
  $("camera").disabled = true;
  say("Opening the camera …");
  try {
    await camera.start();
  } catch (error) {
    say(error.message, true);
    return;
  } finally {
    $("camera").disabled = false;
  }
  if (mine !== turn) {
    camera.stop();
    return;
  }
  $("camera").setAttribute("aria-pressed", "true");
  $("camera").lastElementChild.textContent = "Stop camera";
  askForBox(!settings.finds_faces);
  say("");
  await engine.ask("forget");
  await follow();
}

/** Follow faces from frame to frame until the camera is off. */
async function follow() {
  const mine = turn;
  const times = [];
  const ends = [];
  boxToFollow = null;
  try {
    for (;;) {
      const frame = await camera.frame();
      if (mine !== turn || !camera.isOn) return;
      if (!frame) continue;
      let image = { width: frame.width, height: frame.height, data: frame.data };
      const time = performance.now() / 1000;
      if (boxToFollow) {
        const box = boxToFollow;
        boxToFollow = null;
        const begun = await engine.ask("begin", { image, box, time });
        image = begun.image;
        say(begun.result ? "" : NO_FACE_THERE, !begun.result);
      }
      const { result: faces, image: back, ms } = await engine.ask("follow", { image, time });
      if (mine !== turn || !camera.isOn) return;
      const seen = new ImageData(back.data, back.width, back.height);
      shown = { name: CAMERA, image: seen, mirrored: true };
      show(seen, faces, true);
      if (!settings.finds_faces && !$("message").textContent && !faces.length) say(NO_DETECTOR);
      if (faces.length && $("message").textContent === NO_DETECTOR) say("");
      times.push(ms);
      ends.push(performance.now());
      if (times.length > FRAMES) {
        times.shift();
        ends.shift();
      }
      const mean = times.reduce((sum, v) => sum + v, 0) / times.length;
      const rate = ends.length > 1 ? (1000 * (ends.length - 1)) / (ends.at(-1) - ends[0]) : null;
      showNumbers(mean, faces.length, rate);
    }
  } catch (error) {
    if (mine === turn) fail(error);
  }
}

function leaveCamera() {
  camera.stop();
  $("camera").setAttribute("aria-pressed", "false");
  $("camera").lastElementChild.textContent = "Use camera";
  $("rate").textContent = "–";
}

function fail(error) {
  leaveCamera();
  say(`The network cannot be run (${error.message}); start landmark-kd demo again and reload.`, true);
}

/** Save what is on the stage, in the words of `landmark-kd predict`. */
function points() {
  const rounded = (value) =>
    Array.isArray(value) ? value.map(rounded) : Math.round(value * 1000) / 1000;
  const content = {
    image: shown.name,
    width: shown.image.width,
    height: shown.image.height,
    model: settings.source,
    point_names: settings.info.point_names,
    faces: stage.faces.map(({ box, score, roll, landmarks, sigma }) => ({
      box: rounded(box),
      score: rounded(score),
      roll: rounded((roll * 180) / Math.PI),
      landmarks: rounded(landmarks),
      uncertainty: sigma && rounded(sigma),
    })),
  };
  return new Blob([JSON.stringify(content, null, 2)], { type: "application/json" });
}

function save(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${shown.name.replace(/\.[^.]*$/, "")}${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function setLook() {
  const { contours, regions } = settings.info;
  // Multiples of sigma for 5, 10, … 95 % of the landmarks.
  const multiple = regions ? regions[Math.round(REGION / 0.05) - 1] : 0;
  stage.look = {
    contours,
    drawing: settings.drawing,
    lines: $("lines").checked,
    region: $("regions").checked ? multiple : 0,
  };
  stage.draw();
}

function listen() {
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    if (file) onFile(file);
    // So that the same file can be chosen again.
    $("file").value = "";
  });
  $("camera").addEventListener("click", toggleCamera);
  $("save-image").addEventListener("click", async () => save(await stage.picture(), "_landmarks.png"));
  $("save-points").addEventListener("click", () => save(points(), ".json"));
  for (const id of ["lines", "regions"]) $(id).addEventListener("change", setLook);
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) onFile(file);
  });
  let inside = 0;
  const over = (change) => document.body.classList.toggle("dropping", (inside += change) > 0);
  document.addEventListener("dragenter", () => over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-inside);
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
    else say("That is not a file; drop an image from a folder, or save it first.", true);
  });
}

async function open() {
  say("Opening the network …");
  try {
    ({ result: settings } = await engine.ask("open"));
  } catch (error) {
    say(`The page could not be opened (${error.message}); start landmark-kd demo again and reload.`, true);
    return;
  }
  $("model").textContent = settings.source;
  $("licence").textContent = settings.info.licence;
  $("regions").closest("label").hidden = !settings.info.regions;
  $("key").hidden = !settings.info.regions;
  setLook();
  listen();
  for (const id of ["choose", "camera"]) $(id).disabled = false;
  document.body.classList.add("ready");
  say(settings.finds_faces ? "" : "There is no face detector here: you will drag a box around a face.");
}

open();
