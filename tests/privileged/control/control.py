"""A control plane that takes everything: HTTPS on localhost, one line per request on standard output.

Usage: control.py PORT CERTIFICATE KEY
"""

import http.server
import json
import ssl
import sys


class Control(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self):
        body = self.body()
        lines = sum(1 for line in body.split(b"\n") if line.strip())
        events = self.path.endswith("/events")
        reply = json.dumps({"accepted": lines} if events else {}).encode()
        print(self.command, self.path, lines if events else len(body), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_POST = do_PUT = answer

    def log_message(self, *arguments):
        pass


port, certificate, key = sys.argv[1:]
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Control)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", file=sys.stderr, flush=True)
server.serve_forever()
