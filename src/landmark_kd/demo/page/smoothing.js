// The one-euro filter of inference/smoothing.py: landmarks at rest without jitter, little lag in motion.

export class OneEuroFilter {
  /** `numbers` are min_cutoff, beta and d_cutoff in Hz, and jump in sides of the face. */
  constructor(numbers) {
    this.numbers = numbers;
    this.time = -Infinity;
  }

  /** The filtered points of one more frame, at `time` seconds, of a face with such a side. */
  next(points, time, side) {
    const step = time - this.time;
    const { min_cutoff: atRest, beta, d_cutoff: ofSpeed, jump } = this.numbers;
    if (!Number.isFinite(step) || meanMove(this.points, points) > jump * side) {
      this.velocity = points.map(() => [0, 0]);
      this.smooth = points;
    } else if (step <= 0) {
      return this.smooth;
    } else {
      const taken = share(ofSpeed, step);
      this.smooth = points.map((point, i) => {
        const velocity = point.map((v, axis) => {
          const now = (v - this.points[i][axis]) / (step * side);
          return this.velocity[i][axis] + taken * (now - this.velocity[i][axis]);
        });
        this.velocity[i] = velocity;
        const part = share(atRest + beta * Math.hypot(...velocity), step);
        return point.map((v, axis) => this.smooth[i][axis] + part * (v - this.smooth[i][axis]));
      });
    }
    Object.assign(this, { time, points });
    return this.smooth;
  }
}

/** How much of a new value a low-pass filter takes in, `step` seconds after the last. */
function share(cutoff, step) {
  const turned = 2 * Math.PI * cutoff * step;
  return turned / (turned + 1);
}

function meanMove(before, now) {
  const moved = [0, 1].map(
    (axis) => now.reduce((sum, point, i) => sum + point[axis] - before[i][axis], 0) / now.length,
  );
  return Math.hypot(...moved);
}
