// Images of one's own: what the model makes of them, their bound and their code.

import { at, attempt, make, shape } from "./elements.js";
import { draw, read } from "./pictures.js";

const SEED = 0; // of the one draw of q(z|x) that a bound takes; chosen
const BOUNDS = { elbo: "ELBO", elbo_ratio_estimate: "ELBO, its KL by a critic" };
const ENDS = ["A", "B"];

export class Images {
  constructor(model, decode, imageShape, take, walk) {
    Object.assign(this, { model, decode, imageShape, take, walk });
  }

  start() {
    at("images").hidden = false;
    at("file").onchange = () => {
      const files = [...at("file").files];
      at("file").value = ""; // so that the same file may be chosen again
      this.see(files);
    };
    document.ondragover = (event) => {
      event.preventDefault();
      at("drop").classList.add("over");
    };
    document.ondragleave = () => at("drop").classList.remove("over");
    document.ondrop = (event) => {
      event.preventDefault();
      at("drop").classList.remove("over");
      this.see([...event.dataTransfer.files]);
    };
  }

  see(files) {
    return attempt(async () => {
      const readings = [];
      for (const file of files.slice(0, ENDS.length)) {
        const reading = await this.reading(await read(file, this.imageShape), file.name);
        if (this.decode && files.length > 1) this.walk.set(ENDS[readings.length], reading.code);
        readings.push(reading.element);
      }
      at("seen").replaceChildren(...readings);
    });
  }

  async reading(image, name) {
    const encoded = await this.model.call("encode", { images: [image] });
    const code = encoded.z[0];
    const pair = [picture(image, name)];
    if (this.decode) pair.push(picture((await this.decode([code]))[0], "reconstruction"));
    const facts = make("dl");
    for (const [term, value] of await this.bound(image)) {
      facts.append(make("dt", { textContent: term }), make("dd", { textContent: value }));
    }
    const buttons = make("div", { className: "buttons" });
    if (this.decode) {
      const uses = { "To the sliders": () => this.take(code) };
      for (const end of ENDS) uses[`Use as ${end}`] = () => this.walk.set(end, code);
      for (const [textContent, onclick] of Object.entries(uses)) {
        buttons.append(make("button", { textContent, onclick }));
      }
    }
    const element = make("div", { className: "reading" }, [
      make("div", {}, [make("div", { className: "pair" }, pair), buttons]),
      make("div", {}, [facts, ...codeShown(code, encoded.stddev?.[0])]),
    ]);
    return { element, code };
  }

  // The bound and its parts in words, where the model has one.
  async bound(image) {
    if (!this.model.has("elbo", ["images", "seed"], ["log_likelihood", "kl"])) return [];
    const outputs = await this.model.call("elbo", { images: [image], seed: [SEED] });
    const nats = (value) => `${Number(value).toFixed(2)} nats`;
    const bounds = Object.entries(BOUNDS).filter(([key]) => key in outputs);
    return [
      ...bounds.map(([key, term]) => [term, nats(outputs[key][0])]),
      ["log-likelihood", nats(outputs.log_likelihood[0])],
      ["KL", nats(outputs.kl[0])],
    ];
  }
}

function picture(image, caption) {
  const canvas = make("canvas", { className: "pixels" });
  draw(canvas, image);
  return make("figure", {}, [canvas, make("figcaption", { textContent: caption })]);
}

// A bar for each dimension, with one standard deviation of q(z|x) to both sides where it has one.
function codeShown(code, stddev) {
  const top = Math.max(...code.map((value, i) => Math.abs(value) + (stddev?.[i] ?? 0)), 1e-9);
  const bars = [shape("line", { class: "zero", x1: 0, x2: code.length, y1: 0, y2: 0 })];
  code.forEach((value, i) => {
    const box = { x: i + 0.15, width: 0.7, y: Math.min(0, -value), height: Math.abs(value) };
    const bar = shape("rect", { class: "value", ...box }, [shape("title", {})]);
    bar.firstChild.textContent = `z[${i}] = ${value.toFixed(3)}`;
    bars.push(bar);
    if (stddev) {
      const [y1, y2] = [-value - stddev[i], -value + stddev[i]];
      bars.push(shape("line", { class: "spread", x1: i + 0.5, x2: i + 0.5, y1, y2 }));
    }
  });
  const view = `0 ${-top} ${code.length} ${2 * top}`;
  const how = { class: "bars", viewBox: view, preserveAspectRatio: "none", role: "img" };
  const said = `Its code z, from -${top.toFixed(2)} to ${top.toFixed(2)}`
    + (stddev ? ", with one standard deviation of q(z|x) to both sides." : ".");
  return [
    make("p", { className: "note", textContent: said }),
    shape("svg", { ...how, "aria-label": "the code" }, bars),
    make("details", {}, [
      make("summary", { textContent: `${code.length} numbers` }),
      make("code", { textContent: code.map((value) => value.toFixed(4)).join(", ") }),
    ]),
  ];
}
