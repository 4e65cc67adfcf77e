"""An independent client of TF Serving's protocols, over both."""

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.clients

Z = np.array([[0.5, -1.0, 2.0], [0.0, 0.25, -0.5]], np.float32)


@pytest.fixture(scope="module", params=["grpc", "http"])
def client(request, server):
    import ovmsclient  # of the extra clients, which make test-clients installs

    if request.param == "grpc":
        return ovmsclient.make_grpc_client(f"127.0.0.1:{server.grpc_port}")
    return ovmsclient.make_http_client(f"127.0.0.1:{server.rest_port}")


@pytest.mark.parametrize("version", [1, 2])
def test_predict(client, folder, version):
    model = tf.saved_model.load(str(folder / str(version)))
    expected = model.signatures["decode"](z=tf.constant(Z))["images"].numpy()
    images = client.predict({"z": Z}, "vae", version)
    np.testing.assert_array_equal(images.astype(np.float32), expected)


def test_status(client):
    expected = {"state": "AVAILABLE", "error_code": 0, "error_message": ""}
    assert client.get_model_status("vae", 2) == {2: expected}


def test_metadata(client):
    seen = client.get_model_metadata("vae", 2)
    if "metadata" in seen:  # over HTTP it knows another server's spelling, and hands on the rest
        described = seen["metadata"]["signature_def"]["signature_def"]["serving_default"]
        z, images = described["inputs"]["z"], described["outputs"]["images"]
        assert seen["model_spec"]["version"] == "2"
        sizes = [[int(d["size"]) for d in each["tensor_shape"]["dim"]] for each in (z, images)]
    else:
        z, images = seen["inputs"]["z"], seen["outputs"]["images"]
        assert seen["model_version"] == 2
        sizes = [z["shape"], images["shape"]]
    assert sizes == [[-1, 3], [-1, 28, 28, 3]]
    assert z["dtype"] == images["dtype"] == "DT_FLOAT"


def test_errors_are_its_own_exceptions(client):
    from ovmsclient.tfs_compat.base import errors

    with pytest.raises(errors.ModelNotFoundError, match="Servable not found"):
        client.predict({"z": Z}, "other", 2)
    with pytest.raises(errors.ModelNotFoundError, match="Could not find version 9"):
        client.get_model_status("vae", 9)
    with pytest.raises(errors.InvalidInputError, match=r"has the shape \[2,2\]"):
        client.predict({"z": Z[:, :2]}, "vae", 2)
    with pytest.raises(errors.InvalidInputError, match="z must be finite"):
        client.predict({"z": np.full_like(Z, np.inf)}, "vae", 2)
