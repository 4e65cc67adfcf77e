"""The exported `decode` behind LitServe, a Python server for models of any kind.

python -m benchmarks.peers.lit_server FOLDER PORT
"""

from __future__ import annotations

import sys
from typing import Any

import litserve
import tensorflow as tf


class Decoder(litserve.LitAPI):
    """`POST /predict` of the rows of z, as TF Serving's `instances`."""

    folder = ""

    def setup(self, device: str) -> None:
        """Loads the SavedModel, in the process that predicts."""
        self.signature = tf.saved_model.load(self.folder).signatures["decode"]

    def decode_request(self, request) -> tf.Tensor:  # LitServe reads annotations, as no text
        """The codes of a request."""
        return tf.constant(request["instances"], tf.float32)

    def predict(self, x: tf.Tensor) -> tf.Tensor:
        """Their images."""
        return self.signature(z=x)["images"]

    def encode_response(self, output: tf.Tensor) -> dict[str, Any]:
        """The answer."""
        return {"predictions": output.numpy().tolist()}


def main(folder: str, port: str) -> None:
    """Serves until it is stopped."""
    api = Decoder()
    api.folder = folder
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="error")


if __name__ == "__main__":
    main(*sys.argv[1:])
