// A model behind TF Serving's REST API, called as any client calls it.

import { Signatures } from "./signatures.js";

const PATH = "v1/models/";

export class Model extends Signatures {
  static how = "Everything here is a call of the server's REST API.";

  static async open(name) {
    const { model_spec, metadata } = await asked(`${PATH}${encodeURIComponent(name)}/metadata`);
    const signatures = {};
    for (const [key, described] of Object.entries(metadata.signature_def.signature_def)) {
      signatures[key] = { inputs: shapes(described.inputs), outputs: shapes(described.outputs) };
    }
    return new Model(name, model_spec.version, signatures);
  }

  static metadataPath(name) {
    return `${PATH}${encodeURIComponent(name)}/metadata`;
  }

  // Nested arrays by name in, nested arrays by name out.
  async call(signature, inputs) {
    const body = JSON.stringify({ signature_name: signature, inputs });
    const { outputs } = await asked(`${PATH}${encodeURIComponent(this.name)}:predict`, body);
    const names = Object.keys(this.signatures[signature].outputs);
    return names.length === 1 ? { [names[0]]: outputs } : outputs;
  }
}

function shapes(tensors) {
  const found = {};
  for (const [name, { tensor_shape }] of Object.entries(tensors)) {
    found[name] = (tensor_shape.dim || []).map(({ size }) => (Number(size) < 0 ? null : Number(size)));
  }
  return found;
}

async function asked(path, body) {
  const how = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  let response;
  try {
    response = await fetch(path, body ? how : {});
  } catch {
    throw new Error("the server does not answer");
  }
  const document = await response.json();
  if (!response.ok) throw new Error(document.error);
  return document;
}
