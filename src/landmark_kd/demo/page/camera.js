// Frames of the camera, one after the other, as fast as they are worked on.

const WANTED = {
  audio: false,
  video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 } },
};

export class Camera {
  #stream = null;
  #video = document.createElement("video");
  #grab = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

  /** `onEnd` is called when the camera goes away by itself. */
  constructor(onEnd) {
    this.onEnd = onEnd;
    this.#video.muted = true;
    this.#video.playsInline = true;
  }

  get isOn() {
    return this.#stream !== null;
  }

  /** Open the camera; an Error says in a sentence why that cannot be. */
  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives this page no camera; open the address that the terminal shows.");
    }
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia(WANTED);
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera cannot be opened (${error.message}).`);
    }
    this.#stream.getVideoTracks()[0].addEventListener("ended", () => {
      this.stop();
      this.onEnd();
    });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** The next frame (ImageData), or null once the camera is off. */
  async frame() {
    await shown(this.#video);
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!this.isOn || !width) return null;
    const { canvas } = this.#grab;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.#grab.drawImage(this.#video, 0, 0);
    return this.#grab.getImageData(0, 0, width, height);
  }
}

const REASONS = {
  NotAllowedError:
    "The camera is not allowed for this page; allow it beside the browser's address bar and try again.",
  NotFoundError: "There is no camera at this computer; choose an image instead.",
  NotReadableError: "The camera cannot be read; another program may be using it.",
};

/** Wait until a video shows another frame; a stopped one shows none, so not for ever. */
function shown(video) {
  return new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
    setTimeout(resolve, 500);
  });
}
