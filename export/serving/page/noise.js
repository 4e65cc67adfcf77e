// Standard normals under a seed: the draws of zoo/noise.py, so that a seed's sample is the server's.

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];
const PARITY = 0x1bd11bda;
const VECTOR = 16;
const PRIOR = 0x65aee812; // zoo/noise.py's word for the purpose "prior"

// Threefry-2x32, 20 rounds (Salmon et al. 2011), of two words each.
function threefry(key, counter) {
  const keys = [...key, key[0] ^ key[1] ^ PARITY];
  let [a, b] = [(counter[0] + keys[0]) | 0, (counter[1] + keys[1]) | 0];
  for (let block = 0; block < 5; block++) {
    for (const rotation of ROTATIONS[block % 2]) {
      a = (a + b) | 0;
      b = ((b << rotation) | (b >>> (32 - rotation))) ^ a;
    }
    a = (a + keys[(block + 1) % 3]) | 0;
    b = (b + keys[(block + 2) % 3] + block + 1) | 0;
  }
  return [a, b];
}

// A code of N(0, I), by Box-Muller: the cosines of all pairs come first, then the sines.
export function normals(seed, size) {
  const pairs = VECTOR * Math.ceil(size / (2 * VECTOR));
  const values = new Array(2 * pairs);
  for (let i = 0; i < pairs; i++) {
    const [u, v] = threefry([seed, 0], [i, PRIOR]).map((bits) => (bits >>> 8) * 2 ** -24);
    const radius = Math.sqrt(-2 * Math.log(u + 2 ** -24)); // u = 0 would have no logarithm
    values[i] = Math.fround(radius * Math.cos(2 * Math.PI * v));
    values[pairs + i] = Math.fround(radius * Math.sin(2 * Math.PI * v));
  }
  return values.slice(0, size);
}
