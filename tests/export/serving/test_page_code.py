"""The client of docs/serving.md, run as it stands there but for the port."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs/serving.md"


def test_the_grpc_client_gets_images(server):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    namespace = {}
    exec(code.replace("localhost:8500", f"localhost:{server.grpc_port}"), namespace)
    assert namespace["images"].shape == (2, 28, 28, 3)
