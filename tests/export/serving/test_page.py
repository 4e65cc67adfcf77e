"""The live page as files, the headers of every answer, and pages of other origins."""

import re
import urllib.error
import urllib.request

import pytest

from zoo.errors import UsageError
from zoo.export.serving.cors import Origins
from zoo.export.serving.limits import Limits
from zoo.export.serving.live_page import live_page
from zoo.export.serving.server import Server


def ask(server, path, method="GET", body=None, **headers):
    """Status, headers and body."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{server.rest_port}{path}"
    request = urllib.request.Request(url, body, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_the_page_and_all_that_it_names_are_served(server):
    status, headers, body = ask(server, "/?x=1")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    page = body.decode()
    assert '<meta name="model" content="vae">' in page and "{{" not in page
    files = set(re.findall(r'(?:src|href|name="back-end" content)="([^"#]+)"', page))
    for path, file in live_page("vae", 1).items():
        files |= set(re.findall(r' from "\./([^"]+)"', file.content.decode()))
        named = set(re.findall(rb"https?://[^\"'\s]+", file.content))
        assert named <= {b"http://www.w3.org/2000/svg"}, path  # a name, which nothing loads
    assert files == {path[1:] for path in live_page("vae", 1)} - {""}
    for file in files:
        status, headers, _ = ask(server, f"/{file}")
        assert status == 200 and re.match(
            r"text/(css|javascript)|image/svg", headers.get_content_type()
        )


def test_a_head_without_its_body(server):
    status, headers, body = ask(server, "/", "HEAD")
    assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 1000


def test_a_name_is_text():
    page = live_page('"><script>', 7)["/"].content.decode()
    assert 'content="&quot;&gt;&lt;script&gt;"' in page and 'content="7"' in page


@pytest.mark.parametrize("path", ["/", "/page.js", "/v1/models/vae", "/v1/models/other"])
def test_every_answer_tells_browsers_to_load_nothing_else(server, path):
    _, headers, _ = ask(server, path)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert set(policy.values()) == {"'none'", "'self'"} and policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


HERE, OTHER = "http://here.example", "https://other.example:8080"
PREFLIGHT = {"Origin": HERE, "Access_Control_Request_Method": "POST"}
PREDICT = "/v1/models/vae:predict"


def crossing(headers):
    return {name for name in headers if name.startswith("Access-Control")}


def test_no_other_page_may_call_by_default(server):
    status, headers, _ = ask(server, PREDICT, "OPTIONS", **PREFLIGHT)
    assert status == 400 and not crossing(headers)
    status, headers, _ = ask(server, "/v1/models/vae", Origin=HERE)
    assert status == 200 and not crossing(headers)


@pytest.fixture(scope="module")
def open_server(folder):
    with Server(folder, limits=Limits(), allow_origins=[HERE]) as running:
        yield running


def test_a_page_that_is_allowed_asks_and_calls(open_server):
    private = {"Access_Control_Request_Private_Network": "true"}
    status, headers, body = ask(open_server, PREDICT, "OPTIONS", **PREFLIGHT, **private)
    assert (status, body) == (200, b"") and headers["Access-Control-Allow-Origin"] == HERE
    assert headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert headers["Access-Control-Allow-Private-Network"] == "true"
    status, headers, _ = ask(open_server, PREDICT, "POST", b'{"inputs": [[0, 0, 0]]}', Origin=HERE)
    assert status == 200 and crossing(headers) == {"Access-Control-Allow-Origin"}
    status, headers, _ = ask(open_server, PREDICT, "POST", b"{", Origin=HERE)
    assert status == 400 and headers["Access-Control-Allow-Origin"] == HERE  # it reads why


def test_another_page_may_not(open_server):
    for preflight in ({**PREFLIGHT, "Origin": OTHER}, {"Origin": HERE}):
        assert ask(open_server, PREDICT, "OPTIONS", **preflight)[0] == 400
    _, headers, _ = ask(open_server, "/v1/models/vae", Origin=OTHER)
    assert not crossing(headers) and headers["Vary"] == "Origin"


def test_all_may():
    assert Origins(["*"]).headers({"Origin": OTHER})["Access-Control-Allow-Origin"] == OTHER


@pytest.mark.parametrize(
    "origin", ["here.example", f"{HERE}/", "ftp://here.example", "null", "http://a b", ""]
)
def test_what_is_no_origin(origin):
    with pytest.raises(UsageError, match=r"^allow_origin='.*' is not accepted: expected http://"):
        Origins([origin])
