// The image and what is drawn over it; a box may be drawn on it by hand.
import { drawBox, drawFaces } from "./drawing.js";

// A box below this many CSS pixels is a click.
const SMALLEST_BOX = 12;

export class Stage {
  #corner = null;
  #drawn = null;
  faces = [];

  /** `onBox` is told of a box in the image's pixels, when one was drawn. */
  constructor(frame, onBox) {
    this.frame = frame;
    [this.image, this.points] = frame.querySelectorAll("canvas");
    this.onBox = onBox;
    this.look = null;
    new ResizeObserver(() => this.draw()).observe(frame);
    this.points.addEventListener("pointerdown", (event) => this.#begin(event));
    this.points.addEventListener("pointermove", (event) => this.#move(event));
    this.points.addEventListener("pointerup", (event) => this.#end(event));
    this.points.addEventListener("pointercancel", () => this.#cancel());
  }

  /** Show an image (ImageData) with its faces, as in a mirror or not. */
  show(image, faces, mirrored) {
    if (this.image.width !== image.width || this.image.height !== image.height) {
      this.image.width = image.width;
      this.image.height = image.height;
      this.frame.style.setProperty("--ratio", image.width / image.height);
    }
    this.image.getContext("2d").putImageData(image, 0, 0);
    this.frame.classList.toggle("mirrored", mirrored);
    this.faces = faces;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.points;
    const dense = window.devicePixelRatio || 1;
    this.points.width = Math.round(width * dense);
    this.points.height = Math.round(height * dense);
    const context = this.points.getContext("2d");
    context.scale(dense, dense);
    if (this.look) drawFaces(context, this.faces, width / this.image.width, this.look);
    if (this.#drawn) drawBox(context, this.#drawn);
  }

  /** The image with its landmarks, as a PNG file's Blob. */
  picture() {
    const canvas = document.createElement("canvas");
    canvas.width = this.image.width;
    canvas.height = this.image.height;
    const context = canvas.getContext("2d");
    context.drawImage(this.image, 0, 0);
    drawFaces(context, this.faces, 1, this.look);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  #at(event) {
    const { left, top, width, height } = this.points.getBoundingClientRect();
    const x = Math.min(Math.max(event.clientX - left, 0), width);
    const y = Math.min(Math.max(event.clientY - top, 0), height);
    return [this.frame.classList.contains("mirrored") ? width - x : x, y];
  }

  #begin(event) {
    if (event.button !== 0) return;
    this.#corner = this.#at(event);
    this.points.setPointerCapture(event.pointerId);
  }

  #move(event) {
    if (!this.#corner) return;
    const [x, y] = this.#at(event);
    const [cornerX, cornerY] = this.#corner;
    this.#drawn = [
      Math.min(x, cornerX), Math.min(y, cornerY), Math.max(x, cornerX), Math.max(y, cornerY),
    ];
    this.draw();
  }

  #end(event) {
    this.#move(event);
    const drawn = this.#drawn;
    this.#cancel();
    if (!drawn || Math.min(drawn[2] - drawn[0], drawn[3] - drawn[1]) < SMALLEST_BOX) return;
    const zoom = this.points.clientWidth / this.image.width;
    this.onBox(drawn.map((v) => v / zoom - 0.5));
  }

  #cancel() {
    this.#corner = this.#drawn = null;
    this.draw();
  }
}
