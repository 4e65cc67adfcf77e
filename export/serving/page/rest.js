// A model behind TF Serving's REST API, called as any client calls it.

const PATH = "v1/models/";

export class Model {
  // `signatures` by name, each with `inputs` and `outputs`: shapes by name, null where a size varies.
  constructor(name, version, signatures) {
    Object.assign(this, { name, version, signatures });
  }

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

  has(signature, inputs, outputs) {
    const found = this.signatures[signature];
    return Boolean(found) && inputs.every((key) => key in found.inputs)
      && Object.keys(found.inputs).length === inputs.length
      && outputs.every((key) => key in found.outputs);
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

// Runs one call at a time; of the values that come meanwhile, the newest alone is asked for next.
export class Newest {
  constructor(run) {
    this.run = run;
    this.waiting = [];
    this.busy = false;
  }

  async ask(value) {
    this.waiting = [value];
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting.length) await this.run(this.waiting.pop());
    } finally {
      this.busy = false;
    }
  }
}
