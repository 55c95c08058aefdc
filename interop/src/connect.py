# A little proxy of HTTP, behind `proxy.py`: it leads by CONNECT, or by a request with the whole address.


def serve(client):
    try:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = client.recv(1)
            if not part:
                return client.close()
            head += part
        first, rest = head.split(b"\r\n", 1)
        verb, whither, version = first.decode().split(" ", 2)
        if verb != "CONNECT":
            # One request for each connection: the next one could be for somebody else.
            whither, _, path = whither.removeprefix("http://").partition("/")
            first = f"{verb} /{path} {version}\r\nConnection: close\r\n".encode() + rest
        print(whither, flush=True)
        host, _, port = whither.rpartition(":")
        target = socket.create_connection((names.get(host, host), int(port)), timeout=10)
        target.settimeout(None)
        if verb == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            target.sendall(first)
        threading.Thread(target=pump, args=(target, client), daemon=True).start()
        pump(client, target)
    except OSError:
        client.close()


run(serve)
