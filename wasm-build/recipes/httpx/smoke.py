"""httpx builds requests, reads responses and drives a client over a transport of our own."""

import json

import httpx

assert httpx.__version__ == "0.25.0"

url = httpx.URL("https://user:pw@bücher.example:8443/a b?x=1#f")
assert (url.host, url.port, url.raw_path) == ("bücher.example", 8443, b"/a%20b?x=1")


def answer(request):
    if request.url.path == "/moved":
        return httpx.Response(302, headers={"Location": "/end"})
    if request.url.path == "/slow":
        raise httpx.ReadTimeout("too slow", request=request)
    body = {"method": request.method, "path": request.url.path, "body": request.content.decode()}
    return httpx.Response(200, json=body, headers={"Set-Cookie": "seen=yes"})


with httpx.Client(transport=httpx.MockTransport(answer), base_url="https://service.example") as client:
    posted = client.post("/things", json={"a": [1, 2]}, params={"q": "ä"})
    assert posted.json() == {"method": "POST", "path": "/things", "body": '{"a": [1, 2]}'}
    assert posted.request.url.query == b"q=%C3%A4"
    assert client.cookies["seen"] == "yes"
    followed = client.get("/moved", follow_redirects=True)
    assert [response.status_code for response in (*followed.history, followed)] == [302, 200]
    message = None
    try:
        client.get("/slow")
    except httpx.ReadTimeout as error:
        message = str(error)
    assert message == "too slow"

upload = httpx.Request("POST", "https://x.example", files={"f": ("name.txt", b"content")}, data={"k": "v"})
assert b'name="f"; filename="name.txt"' in upload.read()

gzipped = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=__import__("gzip").compress(b'{"z": 1}'))
assert gzipped.json() == {"z": 1}
assert json.loads(gzipped.text) == {"z": 1}
