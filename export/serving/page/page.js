// The page of a model, on a server (rest.js) or in the browser (onnx.js): the sections that its
// signatures allow.

import { at, attempt } from "./elements.js";
import { Images } from "./images.js";
import { Samples } from "./samples.js";
import { Sliders } from "./sliders.js";
import { Walk } from "./walk.js";

const ROWS = 16; // that are decoded in one request; chosen
const UNNAMED = /^(__.*|serving_default)$/; // TensorFlow's own, and a second name of one of ours

const stated = (name) => document.querySelector(`meta[name="${name}"]`).content;

await attempt(async () => {
  const { Model } = await import(`./${stated("back-end")}`);
  const model = await Model.open(stated("model"));
  const mostRows = Math.min(ROWS, Number(stated("most-rows")));
  at("how").textContent = Model.how;
  at("metadata").href = Model.metadataPath(model.name);
  const decodes = model.has("decode", ["z"], ["images"]);
  const samples = model.has("sample", ["seed"], ["images", "z"]);
  const encodes = model.has("encode", ["images"], ["z"]);
  const shapes = Object.values(model.signatures).flatMap(({ inputs, outputs }) => [inputs, outputs]);
  const size = whole(shapes.map(({ z }) => z), 2)?.[0];
  const imageShape = whole(shapes.map(({ images }) => images), 4);
  const names = Object.keys(model.signatures).filter((name) => !UNNAMED.test(name)).sort();
  at("facts").textContent = [
    `version ${model.version}`,
    size && `codes of ${size} numbers`,
    imageShape && `images of ${imageShape.join(" x ")}`,
    `signatures ${names.join(", ")}`,
  ].filter(Boolean).join("; ");
  const sliders = decodes && size ? new Sliders(model, decode, size) : null;
  const walk = new Walk(decode);
  const take = sliders && ((code) => {
    sliders.take(code);
    at("codes").scrollIntoView({ block: "nearest" });
  });
  if (encodes && imageShape) {
    new Images(model, decodes ? decode : null, imageShape, take, walk).start();
  }
  if (sliders) {
    walk.start(mostRows);
    for (const end of ["A", "B"]) {
      at(`code-to-${end.toLowerCase()}`).onclick = () => walk.set(end, sliders.code);
    }
  }
  if (samples) {
    const grid = new Samples(model, take);
    await grid.start(mostRows);
    if (sliders && grid.codes?.length > 1) ["A", "B"].forEach((end, i) => walk.set(end, grid.codes[i]));
  }
  if (sliders) await sliders.start(mostRows);
  document.body.dataset.ready = "true";

  async function decode(rows) {
    return (await model.call("decode", { z: rows })).images;
  }
});

// What is behind the first dimension in the first shape of this rank that tells all of it.
function whole(shapes, rank) {
  const told = shapes.find((s) => s?.length === rank && !s.slice(1).includes(null));
  return told?.slice(1);
}
