// Images as the signatures have them, [H][W][C] in [0, 1] with C from 1 to 4, and as pixels.

const LUMA = [0.299, 0.587, 0.114]; // ITU-R 601

export function draw(canvas, image) {
  const [height, width, channels] = [image.length, image[0].length, image[0][0].length];
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  let at = 0;
  for (const row of image) {
    for (const pixel of row) {
      const grey = channels < 3;
      for (let c = 0; c < 3; c++) pixels.data[at + c] = Math.round(255 * pixel[grey ? 0 : c]);
      pixels.data[at + 3] = channels % 2 ? 255 : Math.round(255 * pixel[channels - 1]);
      at += 4;
    }
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

// The largest central part of a file's image that has the aspect of `shape`, resized to it.
export async function read(file, [height, width, channels]) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} cannot be read as an image`);
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  if (channels % 2) { // without alpha, what is transparent lies on white
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
  }
  const scale = Math.min(bitmap.width / width, bitmap.height / height);
  const [w, h] = [width * scale, height * scale];
  const corner = [(bitmap.width - w) / 2, (bitmap.height - h) / 2];
  context.drawImage(bitmap, ...corner, w, h, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const image = [];
  for (let y = 0; y < height; y++) {
    const row = [];
    for (let x = 0; x < width; x++) row.push(pixel(data, 4 * (y * width + x), channels));
    image.push(row);
  }
  return image;
}

function pixel(data, at, channels) {
  const colour = Array.from(data.subarray(at, at + 3));
  const seen = channels < 3
    ? [Math.round(LUMA.reduce((sum, weight, c) => sum + weight * colour[c], 0))] : colour;
  if (channels % 2 === 0) seen.push(data[at + 3]);
  return seen.map((level) => Number((level / 255).toPrecision(9))); // as exact as a float32
}
