# A little SOCKS5 proxy, behind `proxy.py`. It prints also to whom it carries datagrams.


def exactly(client, count):
    data = b""
    while len(data) < count:
        part = client.recv(count - len(data))
        if not part:
            raise OSError("it ends too early")
        data += part
    return data


def carry(client):
    inner, outer = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    inner.bind((sys.argv[1], 0))
    outer.bind(("0.0.0.0", 0))
    asker = []

    def up():
        while True:
            letter, come_from = inner.recvfrom(65536)
            asker[:] = [come_from]
            if letter[3] == 3:
                end = 5 + letter[4]
                host = letter[5:end].decode()
            else:
                end = 8
                host = socket.inet_ntoa(letter[4:8])
            port = int.from_bytes(letter[end : end + 2], "big")
            print(f"letter to {host}:{port}", flush=True)
            try:
                outer.sendto(letter[end + 2 :], (names.get(host, host), port))
            except OSError:
                pass

    def down():
        while True:
            data, (host, port) = outer.recvfrom(65536)
            if asker:
                inner.sendto(b"\0\0\0\1" + socket.inet_aton(host) + port.to_bytes(2, "big") + data, asker[0])

    for way in (up, down):
        threading.Thread(target=way, daemon=True).start()
    client.sendall(b"\x05\x00\x00\x01" + bytes(4) + inner.getsockname()[1].to_bytes(2, "big"))
    while client.recv(64):
        pass
    client.close()


def serve(client):
    try:
        exactly(client, exactly(client, 2)[1])
        client.sendall(b"\x05\x00")
        _, command, _, kind = exactly(client, 4)
        if command == 3:
            exactly(client, 6)
            return carry(client)
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


run(serve)
