// Between two codes, A and B: a row of pictures, and a slider for those between them.

import { slerp } from "./codes.js";
import { at, attempt, make } from "./elements.js";
import { Newest } from "./newest.js";
import { draw } from "./pictures.js";

const STEPS = 9; // pictures of the row, A and B among them; chosen

export class Walk {
  constructor(decode) {
    this.decode = decode;
    this.ends = {};
    this.between = new Newest((code) => attempt(async () => {
      draw(at("between"), (await this.decode([code]))[0]);
    }));
    this.row = new Newest(() => attempt(() => this.lay()));
  }

  start(mostRows) {
    this.steps = Math.max(2, Math.min(STEPS, mostRows));
    at("position").oninput = () => this.move(Number(at("position").value));
  }

  // Makes a code an end, "A" or "B"; the walk is shown once there are both.
  set(end, code) {
    this.ends[end] = code.slice();
    const { A, B } = this.ends;
    at("walk").hidden = false;
    if (!A || !B) {
      at("walk-note").textContent = `${A ? "B" : "A"} is still missing.`;
      return;
    }
    at("walk-note").textContent = "Spherically, from A on the left to B on the right.";
    this.row.ask(true);
    this.move(Number(at("position").value));
  }

  move(position) {
    const { A, B } = this.ends;
    at("position").value = position;
    if (A && B) this.between.ask(slerp(A, B, position));
  }

  async lay() {
    const { A, B } = this.ends;
    const positions = Array.from({ length: this.steps }, (_, i) => i / (this.steps - 1));
    const images = await this.decode(positions.map((position) => slerp(A, B, position)));
    at("strip").replaceChildren(...positions.map((position, i) => {
      const canvas = make("canvas", { className: "pixels" });
      draw(canvas, images[i]);
      const name = i === 0 ? "A" : i === this.steps - 1 ? "B" : position.toFixed(2);
      const tile = make("button", { ariaLabel: `picture at ${name}` }, [canvas, name]);
      tile.onclick = () => this.move(position);
      return tile;
    }));
  }
}
