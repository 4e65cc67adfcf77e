// A grid of samples, one for each seed from a first one on.

import { at, attempt, make } from "./elements.js";
import { Newest } from "./newest.js";
import { draw } from "./pictures.js";

const COUNT = 16; // chosen
const LAST = 2 ** 31 - COUNT; // seeds are int32

export class Samples {
  constructor(model, take) {
    Object.assign(this, { model, take });
    this.shown = new Newest((seed) => attempt(() => this.show(seed)));
  }

  async start(mostRows) {
    this.count = Math.min(COUNT, mostRows);
    at("samples").hidden = false;
    at("samples-note").hidden = !this.take;
    const field = at("seed");
    const ask = (seed) => {
      field.value = Math.max(0, Math.min(LAST, seed));
      return this.shown.ask(Number(field.value));
    };
    field.onchange = () => ask(Math.floor(Number(field.value)) || 0);
    at("seeds-before").onclick = () => ask(Number(field.value) - this.count);
    at("seeds-after").onclick = () => ask(Number(field.value) + this.count);
    await ask(0);
  }

  async show(first) {
    const seeds = Array.from({ length: this.count }, (_, i) => first + i);
    const { images, z } = await this.model.call("sample", { seed: seeds });
    this.codes = z;
    const tiles = seeds.map((seed, i) => {
      const canvas = make("canvas", { className: "pixels" });
      draw(canvas, images[i]);
      const tile = make("button", { ariaLabel: `sample of seed ${seed}` }, [canvas, String(seed)]);
      tile.disabled = !this.take;
      tile.onclick = () => this.take(z[i]);
      return tile;
    });
    at("grid").replaceChildren(...tiles);
  }
}
