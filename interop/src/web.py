# A little web server for one folder, with ranges: `python3 web.py HOST PORT FOLDER`. Prints, of each answer that it has given whole, its status and the
# bytes of the file that were in it.
import http.server, os, re, sys, urllib.parse


def tell(line):
    # In one piece: answers are given by several threads.
    os.write(1, f"{line}\n".encode())


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = os.path.join(sys.argv[3], urllib.parse.unquote(self.path).lstrip("/"))
        if not os.path.isfile(path):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            tell("404 0")
            return
        size = os.path.getsize(path)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), min(int(asked[2] or size - 1), size - 1)) if asked else (0, size - 1)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        with open(path, "rb") as file:
            file.seek(first)
            self.wfile.write(file.read(last + 1 - first))
        tell(f"{206 if asked else 200} {last + 1 - first}")

    def log_message(self, *_):
        pass


door = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Answer)
tell("ready")
door.serve_forever()
