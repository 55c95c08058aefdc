# A little proxy of HTTP: `python3 connect.py HOST PORT NAME=IP …`. It knows these names and no others, and prints whither it is asked to lead, be it by
# CONNECT or by a request with the whole address.
import socket, sys, threading

names = dict(pair.split("=") for pair in sys.argv[3:])


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


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


door = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
