"""requests prepares requests, and its sessions follow redirects, keep cookies and decode what an adapter answers."""

import io
import json

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

assert requests.__version__ == "2.31.0"

prepared = requests.Request("POST", "https://bücher.example/a b", params={"q": "ä"}, json={"a": 1}).prepare()
assert prepared.url == "https://xn--bcher-kva.example/a%20b?q=%C3%A4"
assert prepared.headers["Content-Length"] == "8"
assert (
    b'name="f"; filename="n.txt"'
    in requests.Request("POST", "https://x.example", files={"f": ("n.txt", b"c")}).prepare().body
)


class Answering(BaseAdapter):
    def send(self, request, **options):
        moved = request.url.endswith("/moved")
        body = (
            b"" if moved else json.dumps({"cookie": request.headers.get("Cookie"), "method": request.method}).encode()
        )
        headers = {"Location": "/end"} if moved else {"Content-Type": "application/json; charset=utf-8"}
        raw = HTTPResponse(io.BytesIO(body), headers=headers, status=302 if moved else 200, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def close(self):
        pass


with requests.Session() as session:
    session.mount("https://", Answering())
    session.cookies.set("seen", "yes", domain="service.example")
    answer = session.post("https://service.example/moved", data={"k": "v"})
    assert [hop.status_code for hop in answer.history] == [302]
    assert answer.json() == {"cookie": "seen=yes", "method": "GET"}
    assert answer.encoding == "utf-8"

message = ""
try:
    requests.get("https://ungranted.example/")
except requests.ConnectionError as error:
    message = str(error)
assert 'Grants(http=["ungranted.example"])' in message, message
