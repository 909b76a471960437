"""Stands between the official client's generated tests and a server with real state.

Usage: made_up.py ORIGIN KEY

The tests are written for a mock that answers anything: they name files, uploads and parts that nobody made (`file_id`, `upload_abc123`,
`part_ids=["string"]`), and values that no service takes (a key with spaces, an upload of 0 bytes, a page of 0 files, the MD5 `md5`). Before such a
request goes on to the server at ORIGIN, this makes what it names there, and puts the real value in its place. Every answer is the server's own, byte
for byte.

It prints `listening on http://ADDRESS`, and ends when standard input does. Then it prints how often each value was replaced, as JSON.
"""

import hashlib
import http.client
import json
import re
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

CONTENT = b"Example data"
BOUNDARY = "made-up-7c1f0d52"
# Of one connection alone: the request's, or the answer's.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


class Server:
    """The server that the tests are about."""

    def __init__(self, origin: str, key: str) -> None:
        self.address = urlsplit(origin).netloc
        self.authorization = f"Bearer {key}"

    def send(self, method: str, target: str, headers: list, body: bytes) -> tuple:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def made(self, target: str, content_type: str, body: bytes) -> dict:
        status, _, answer = self.send("POST", target, [("Authorization", self.authorization), ("Content-Type", content_type)], body)
        if status != 200:
            raise RuntimeError(f"POST {target}: {status} {answer!r}")
        return json.loads(answer)

    def new_file(self) -> str:
        purpose = field('name="purpose"', b"assistants")
        content = field('name="file"; filename="made-up.txt"\r\nContent-Type: text/plain', CONTENT)
        return self.made("/v1/files", *form(purpose + content))["id"]

    def new_upload(self) -> str:
        upload = {"bytes": len(CONTENT), "filename": "made-up.txt", "mime_type": "text/plain", "purpose": "assistants"}
        return self.made("/v1/uploads", "application/json", json.dumps(upload).encode())["id"]

    def new_part(self, upload: str) -> str:
        content = field('name="data"; filename="upload"\r\nContent-Type: application/octet-stream', CONTENT)
        return self.made(f"/v1/uploads/{upload}/parts", *form(content))["id"]


def field(disposition: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


def form(fields: bytes) -> tuple:
    return f"multipart/form-data; boundary={BOUNDARY}", fields + f"--{BOUNDARY}--\r\n".encode()


class Replacements:
    """Real values in place of made-up ones, and how often each was needed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.count = Counter()
        self.lock = threading.Lock()

    def note(self, what: str) -> None:
        with self.lock:
            self.count[what] += 1

    def apply(self, method: str, target: str, headers: list, body: bytes) -> tuple:
        path, mark, query = target.partition("?")
        if re.match(r"/v1/files/file_id(/|$)", path):
            self.note("file_id")
            path = path.replace("file_id", self.server.new_file())
        elif path == "/v1/files" and method == "GET" and query:
            query = self.listing(query)
        elif path == "/v1/uploads" and method == "POST":
            body = self.announced(body)
        elif re.match(r"/v1/uploads/upload_abc123/", path):
            self.note("upload_abc123")
            upload = self.server.new_upload()
            path = path.replace("upload_abc123", upload)
            if path.endswith("/complete"):
                body = self.completion(body, upload)
        return path + mark + query, [self.header(*header) for header in headers], body

    def header(self, name: str, value: str) -> tuple:
        if name.lower() == "authorization" and value == "Bearer My API Key":
            self.note("My API Key")
            value = self.server.authorization
        return name, value

    def listing(self, query: str) -> str:
        pairs = []
        for pair in query.split("&"):
            if pair == "after=after":
                self.note(pair)
                pair = "after=" + self.server.new_file()
            elif pair == "limit=0":
                self.note(pair)
                pair = "limit=1"
            pairs.append(pair)
        return "&".join(pairs)

    def announced(self, body: bytes) -> bytes:
        upload = json.loads(body)
        if upload["bytes"] == 0:
            self.note("bytes=0")
            upload["bytes"] = len(CONTENT)
        return json.dumps(upload).encode()

    def completion(self, body: bytes, upload: str) -> bytes:
        completion = json.loads(body)
        if completion["part_ids"] == ["string"]:
            self.note('part_ids=["string"]')
            completion["part_ids"] = [self.server.new_part(upload)]
        if completion.get("md5") == "md5":
            self.note("md5=md5")
            completion["md5"] = hashlib.md5(CONTENT).hexdigest()
        return json.dumps(completion).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    replacements: Replacements

    def pass_on(self) -> None:
        # None of the tests sends a body in chunks.
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP]
        target, headers, body = self.replacements.apply(self.command, self.path, headers, body)
        status, answered, content = self.replacements.server.send(self.command, target, headers, body)
        self.send_response_only(status)
        for name, value in answered:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = pass_on

    def log_message(self, *_) -> None:
        pass


def main(origin: str, key: str) -> None:
    Handler.replacements = Replacements(Server(origin, key))
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    print(f"listening on http://127.0.0.1:{proxy.server_address[1]}", flush=True)
    sys.stdin.read()
    proxy.shutdown()
    print(json.dumps(Handler.replacements.count, sort_keys=True), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
