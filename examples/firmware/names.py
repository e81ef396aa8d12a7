"""A name server for the emulated network: QEMU's restricted network has none, its open one uses the host's.

    names.py NAME ADDRESS

QEMU connects the board to one port and its network to another, and sends each frame after four bytes
of length. Prints "listening BOARD NETWORK". Adds a name server to DHCP's answers and answers the
board's queries: the address of NAME, and that no other name exists.
"""

import socket
import struct
import sys
import threading

SERVER = "10.0.2.3"
HEADERS = 14 + 20 + 8      # Ethernet, IPv4 without options, UDP
DHCP = 236 + 4             # the bytes before DHCP's options


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_of(frame, port, at):
    """Whether the frame is UDP with this port as source (0) or destination (2)."""
    return (len(frame) > HEADERS and frame[12:15] == b"\x08\x00\x45" and frame[23] == 17
            and frame[34 + at:36 + at] == struct.pack("!H", port))


def with_names(frame):
    """DHCP's answer with one more option in front."""
    start = HEADERS + DHCP
    option = b"\x06\x04" + socket.inet_aton(SERVER)
    assert frame.endswith(bytes(len(option))), "no room"
    frame = frame[:40] + b"\0\0" + frame[42:start] + option + frame[start:]
    return frame[:-len(option)]


def answer(message, name, address):
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1:at + 1 + length].decode())
        at += 1 + length
    flags, records = 0x8183, b""
    if ".".join(labels) == name:
        flags = 0x8180
        records = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address)
    header = message[:2] + struct.pack("!HHHHH", flags, 1, bool(records), 0, 0)
    return header + message[12:at + 5] + records


def reply(frame, name, address):
    message = answer(frame[HEADERS:], name, address)
    ports = frame[36:38] + frame[34:36]
    datagram = ports + struct.pack("!HH", 8 + len(message), 0) + message
    header = b"\x45\x00" + struct.pack("!HIBB", 20 + len(datagram), 0, 64, 17)
    addresses = frame[30:34] + frame[26:30]
    header += struct.pack("!H", checksum(header + b"\0\0" + addresses)) + addresses
    return frame[6:12] + frame[:6] + b"\x08\x00" + header + datagram


def each(connection):
    with connection.makefile("rb") as frames:
        while len(length := frames.read(4)) == 4:
            yield frames.read(struct.unpack("!I", length)[0])


def pass_on(connection, frame):
    connection.sendall(struct.pack("!I", len(frame)) + frame)


def downwards(network, board):
    for frame in each(network):
        pass_on(board, with_names(frame) if is_of(frame, 67, 0) else frame)


def main(name, address):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    print("listening", *(listener.getsockname()[1] for listener in listeners), flush=True)
    while True:
        board, network = (listener.accept()[0] for listener in listeners)
        threading.Thread(target=downwards, args=(network, board), daemon=True).start()
        try:
            for frame in each(board):
                if is_of(frame, 53, 2):
                    pass_on(board, reply(frame, name, address))
                else:
                    pass_on(network, frame)
        except OSError:
            pass           # QEMU ended


if __name__ == "__main__":
    main(*sys.argv[1:])
