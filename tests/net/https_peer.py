"""https_peer.py CERTIFICATE KEY [--tls12] [--client-roots FILE]: an HTTPS server that misbehaves on request.

Prints its port and serves loopback until its stdin ends. The path of a request says what it does.
"""
import argparse
import socket
import ssl
import sys
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body):
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*pieces):
    return (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
            + b"0\r\n\r\n")


ANSWERS = {
    "/ok": whole(b'{"a":1}'),
    "/empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/missing": b'HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n{"errors":[]}',
    "/redirect": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n",
    "/chunked": chunked(b"one ", b"two ", b"three"),
    "/head": OK + b"Content-Length: 100\r\n\r\n",
    "/until-close": OK + b"\r\nas long as it lasts",
    # what a client must not believe
    "/two-lengths": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "/length-and-chunked": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "/signed-length": OK + b"Content-Length: +2\r\n\r\nab",
    "/huge-length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nab",
    "/short": OK + b"Content-Length: 1\r\n\r\nab",
    "/folded": OK + b"A: b\r\n c\r\nContent-Length: 2\r\n\r\nab",
    "/spaced": OK + b"Content-Length : 2\r\n\r\nab",
    "/bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab\r\n\r\n",
    "/one-lf": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nab",
    "/nul": OK + b"A: b\0c\r\nContent-Length: 2\r\n\r\nab",
    "/old": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "/interim": b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"ab"),
    "/upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nab",
    "/gzip": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "/bad-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    "/chunk-lf": OK + b"Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n",
    "/chunk-overflow": OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n",
    "/trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n",
    "/behind": whole(b"ab") + b"HTTP/1.1 200 OK\r\n\r\n",
    "/not-http": b"SSH-2.0-peer\r\n\r\n",
    "/big-head": OK + b"A: " + b"b" * 40000 + b"\r\nContent-Length: 2\r\n\r\nab",
    "/many-headers": OK + b"A: b\r\n" * 100 + b"Content-Length: 2\r\n\r\nab",
    "/body-in-204": b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab",
}


def send_slowly(connection, answer):
    for i in range(len(answer)):
        connection.sendall(answer[i:i + 1])


def read_request(stream):
    """The request line, the headers, and the body; None at the connection's end."""
    line = stream.readline().decode()
    if not line:
        return None
    headers = {}
    while (header := stream.readline().decode().strip()):
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return line, headers, stream.read(int(headers.get("content-length", 0)))


def answer_one(connection, request, served):
    """False: the connection ends."""
    line, headers, body = request
    method, path, _ = line.split()
    path, _, query = path.partition("?")
    if path in ("/cut", "/cut-head"):
        connection.sendall(ANSWERS["/chunked"][:-8] if path == "/cut" else OK)
        connection.shutdown(socket.SHUT_RDWR)  # no close_notify
        return False
    if path == "/hang":
        time.sleep(float(query))
        return False
    if path == "/drip":
        connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x")
            time.sleep(0.05)
    elif path == "/bytes":
        send_slowly(connection, ANSWERS["/chunked"])
    elif path == "/too-large":
        connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            connection.sendall(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
    elif path == "/echo":
        what = {"method": method, "token": headers.get("x-vault-token", ""), "host": headers.get("host", "")}
        text = "&".join(f"{name}={value}" for name, value in what.items())
        connection.sendall(whole(f"{text}&served={served}&".encode() + body))
    elif path == "/quiet-end":  # ends behind a good answer, and says nothing of it
        connection.sendall(ANSWERS["/ok"])
        return False
    elif path == "/said-end":
        connection.sendall(OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        return False
    elif path == "/events":
        connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(int(query)):
            connection.sendall(b"8\r\nevent %d\n\r\n" % i)
        return True  # and nothing more
    else:
        connection.sendall(ANSWERS[path])
        return path != "/until-close"
    return True


def serve(raw, context):
    try:
        with context.wrap_socket(raw, server_side=True) as connection:
            stream = connection.makefile("rb")
            served = 0
            while (request := read_request(stream)) is not None and answer_one(connection, request, served):
                served += 1
            connection.unwrap()
    except (OSError, ValueError):
        pass


def main():
    words = argparse.ArgumentParser()
    words.add_argument("certificate")
    words.add_argument("key")
    words.add_argument("--tls12", action="store_true")
    words.add_argument("--client-roots")
    words = words.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(words.certificate, words.key)
    if words.tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if words.client_roots:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(words.client_roots)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: [threading.Thread(target=serve, args=(listener.accept()[0], context),
                                                      daemon=True).start() for _ in iter(int, 1)],
                     daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
