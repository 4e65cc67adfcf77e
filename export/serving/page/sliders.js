// The present code: a slider for each dimension, and the picture that it decodes to.

import { leading } from "./codes.js";
import { at, attempt, make } from "./elements.js";
import { Newest } from "./newest.js";
import { draw } from "./pictures.js";

const FIRST = 10; // sliders that are shown at once; chosen
const REACH = 3; // standard deviations of N(0, I) to both sides; chosen

export class Sliders {
  constructor(model, decode, size) {
    Object.assign(this, { model, decode, size });
    this.code = new Array(size).fill(0);
    this.rows = [];
    this.shown = new Newest((code) => attempt(() => this.show(code)));
  }

  async start(mostRows) {
    at("codes").hidden = false;
    at("zero-code").onclick = () => this.take(new Array(this.size).fill(0));
    if (this.model.has("sample", ["seed"], ["images", "z"])) {
      at("new-code").hidden = false;
      at("new-code").onclick = () => attempt(() => this.draw());
      await this.draw();
    } else {
      await this.shown.ask(this.code);
    }
    this.lay(await leading(this.decode, this.size, mostRows));
  }

  // A code of the model's prior, under a fresh seed.
  async draw() {
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    const { z } = await this.model.call("sample", { seed: [seed >>> 1] });
    await this.take(z[0]); // not its images: a decode under way would come after them
  }

  take(code) {
    this.code = code.slice();
    this.rows.forEach((row) => row.follow());
    return this.shown.ask(this.code);
  }

  async show(code) {
    const start = performance.now();
    const [image] = await this.decode([code]);
    draw(at("picture"), image);
    at("time").textContent = `decoded in ${Math.round(performance.now() - start)} ms`;
  }

  lay(order) {
    this.rows = order.map((dimension, rank) => this.row(dimension, rank));
    at("sliders").append(...this.rows.map((row) => row.element));
    at("order").textContent = order.length > FIRST
      ? `The ${FIRST} of ${order.length} dimensions that change the picture of z = 0 most.`
      : "The dimension that changes the picture of z = 0 most comes first.";
    const all = at("all-sliders");
    all.hidden = order.length <= FIRST;
    all.textContent = `Show all ${order.length}`;
    all.onclick = () => {
      this.rows.forEach((row) => { row.element.hidden = false; });
      all.hidden = true;
    };
  }

  row(dimension, rank) {
    const input = make("input", { type: "range", step: 0.01, ariaLabel: `dimension ${dimension}` });
    const value = make("output");
    const element = make("label", { className: "slider", hidden: rank >= FIRST }, [
      make("span", { textContent: `z[${dimension}]` }), input, value,
    ]);
    const tell = () => { value.textContent = this.code[dimension].toFixed(2); };
    const follow = () => {
      const reach = Math.max(REACH, Math.ceil(Math.abs(this.code[dimension])));
      Object.assign(input, { min: -reach, max: reach });
      input.value = this.code[dimension];
      tell();
    };
    input.oninput = () => {
      this.code = this.code.with(dimension, Number(input.value));
      tell();
      this.shown.ask(this.code);
    };
    follow();
    return { element, follow };
  }
}
