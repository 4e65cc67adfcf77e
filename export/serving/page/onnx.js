// A model in the browser itself, by onnxruntime-web: its ONNX files lie beside this one.

import { normals } from "./noise.js";
import * as runtime from "./onnxruntime-web.js";
import { Signatures } from "./signatures.js";

const DESCRIPTION = "model.json";

runtime.env.wasm.numThreads = 1; // more take headers that few file servers send

export class Model extends Signatures {
  static how = "Your browser computes all of it, by onnxruntime-web; nothing is sent anywhere.";

  static async open() {
    const { name, version, signatures } = JSON.parse(new TextDecoder().decode(await file(DESCRIPTION)));
    return new Model(name, version, signatures);
  }

  static metadataPath() {
    return DESCRIPTION;
  }

  constructor(...described) {
    super(...described);
    this.sessions = {};
    this.last = Promise.resolve(); // the runtime has no second call under way
  }

  // Nested arrays by name in, nested arrays by name out.
  async call(signature, inputs) {
    if (signature === "sample") {
      const [, size] = this.signatures.decode.inputs.z;
      const z = inputs.seed.map((seed) => normals(seed, size));
      return { images: (await this.call("decode", { z })).images, z };
    }
    const feeds = {};
    for (const [name, rows] of Object.entries(inputs)) {
      const sizes = shape(rows);
      feeds[name] = new runtime.Tensor("float32", Float32Array.from(rows.flat(Infinity)), sizes);
    }
    const run = this.last.then(() => this.run(signature, feeds));
    this.last = run.catch(() => {}); // a call that failed is not the next one's matter
    return run;
  }

  async run(signature, feeds) {
    this.sessions[signature] ??= await runtime.InferenceSession.create(await file(`${signature}.onnx`));
    const outputs = Object.entries(await this.sessions[signature].run(feeds));
    return Object.fromEntries(outputs.map(([name, { data, dims }]) => [name, nested(data, dims)]));
  }
}

async function file(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} cannot be read: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function shape(rows) {
  return Array.isArray(rows) ? [rows.length, ...shape(rows[0])] : [];
}

function nested(data, [rows, ...sizes]) {
  if (!sizes.length) return Array.from(data);
  const size = data.length / rows;
  return Array.from({ length: rows }, (_, i) => nested(data.subarray(i * size, (i + 1) * size), sizes));
}
