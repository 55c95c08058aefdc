# A little name server: `HOST NAME=IP,IP …`. It knows the IPv4 addresses of these names, which it lists in the order given, and no other name. It prints
# the names that it is asked for.
import socket, struct, sys

names = {name: addresses.split(",") for name, addresses in (pair.split("=") for pair in sys.argv[2:])}
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    letter, asker = door.recvfrom(4096)
    labels, at = [], 12
    while letter[at]:
        labels.append(letter[at + 1 : at + 1 + letter[at]].decode())
        at += 1 + letter[at]
    kind = struct.unpack_from(">H", letter, at + 1)[0]
    name = ".".join(labels).lower()
    print(name, flush=True)
    found = names.get(name, []) if kind == 1 else []
    # An answer with authority; a name that is not there is 3.
    flags = 0x8580 | (0 if name in names else 3)
    head = letter[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0)
    records = b"".join(struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(ip) for ip in found)
    door.sendto(head + letter[12 : at + 5] + records, asker)
