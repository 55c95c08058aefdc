# A little SOCKS5 proxy: `python3 socks.py HOST PORT NAME=IP …`. It knows these names and no others, and prints whither it is asked to lead.
import socket, sys, threading

names = dict(pair.split("=") for pair in sys.argv[3:])


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def exactly(client, count):
    data = b""
    while len(data) < count:
        part = client.recv(count - len(data))
        if not part:
            raise OSError("it ends too early")
        data += part
    return data


def serve(client):
    try:
        exactly(client, exactly(client, 2)[1])
        client.sendall(b"\x05\x00")
        kind = exactly(client, 4)[3]
        if kind == 1:
            host = socket.inet_ntoa(exactly(client, 4))
        elif kind == 3:
            host = exactly(client, exactly(client, 1)[0]).decode()
        else:
            return client.close()
        port = int.from_bytes(exactly(client, 2), "big")
        print(f"{host}:{port}", flush=True)
        target = socket.create_connection((names.get(host, host), port), timeout=10)
        target.settimeout(None)
        client.sendall(b"\x05\x00\x00\x01" + bytes(6))
        threading.Thread(target=pump, args=(target, client), daemon=True).start()
        pump(client, target)
    except OSError:
        client.close()


door = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
