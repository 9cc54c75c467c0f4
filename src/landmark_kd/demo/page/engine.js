// The page's side of worker.js: questions and their answers.

export class Engine {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #nextId = 0;

  constructor() {
    this.#worker.onmessage = ({ data: { id, error, ...answer } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
    };
    // It could not be loaded: nothing will be answered.
    this.#worker.onerror = (event) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(event.message || "a file of the page is missing"));
      }
      this.#waiting.clear();
    };
  }

  /** Ask for one of worker.js's `answers`: {result, image, ms}. The image is lent to it meanwhile. */
  ask(kind, details = {}) {
    const id = this.#nextId++;
    const lent = details.image ? [details.image.data.buffer] : [];
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, kind, ...details }, lent);
    });
  }
}
