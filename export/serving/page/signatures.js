// What a model has, wherever it runs: the base of `Model` in rest.js and onnx.js.

export class Signatures {
  // `signatures` by name, each with `inputs` and `outputs`: shapes by name, null where a size varies.
  constructor(name, version, signatures) {
    Object.assign(this, { name, version, signatures });
  }

  has(signature, inputs, outputs) {
    const found = this.signatures[signature];
    return Boolean(found) && inputs.every((key) => key in found.inputs)
      && Object.keys(found.inputs).length === inputs.length
      && outputs.every((key) => key in found.outputs);
  }
}
