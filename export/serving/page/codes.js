// Codes: walks between two, and which of their dimensions show.

const PARALLEL = 1e-6; // sine of an angle below which an arc is no arc
const STEP = 2; // standard deviations of N(0, I) by which a dimension is moved; chosen
const MOST_NUMBERS = 200000; // of one answer; chosen

// The code at `position` in [0, 1] on the arc from `first` to `second`, spherically (White 2016);
// on a line where there is no arc.
export function slerp(first, second, position) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const lengths = Math.sqrt(dot(first, first) * dot(second, second));
  const cosine = lengths ? Math.max(-1, Math.min(1, dot(first, second) / lengths)) : 1;
  const angle = Math.acos(cosine);
  let weights = [1 - position, position];
  if (Math.sin(angle) >= PARALLEL) {
    weights = weights.map((weight) => Math.sin(weight * angle) / Math.sin(angle));
  }
  return first.map((value, i) => weights[0] * value + weights[1] * second[i]);
}

// The dimensions of a code, that first which changes the picture of zero most, in squared pixels.
export async function leading(decode, size, mostRows) {
  const zero = new Array(size).fill(0);
  const [base] = await decode([zero]);
  const flat = base.flat(2);
  const rows = Math.max(1, Math.min(mostRows, Math.floor(MOST_NUMBERS / flat.length)));
  const changes = [];
  for (let start = 0; start < size; start += rows) {
    const moved = [];
    for (let i = start; i < Math.min(start + rows, size); i++) moved.push(zero.with(i, STEP));
    for (const image of await decode(moved)) {
      changes.push(image.flat(2).reduce((sum, value, i) => sum + (value - flat[i]) ** 2, 0));
    }
  }
  return [...zero.keys()].sort((a, b) => changes[b] - changes[a] || a - b);
}
