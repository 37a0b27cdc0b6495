"""Messages for the IMAP rows, and a small client that times what it sends."""
import socket
import ssl
import time

import measure
import servers

WORDS = ("river stone letter garden seven winter candle harbour mirror bread lantern copper meadow ribbon orchard "
         "signal market bridge violet thunder pepper castle window number silver").split()


def message(rng, i, size):
    """About `size` octets; `zanzibar` in one of DISTINCT, `budget` in a fifth of them: in body, subject and sender."""
    words = [rng.choice(WORDS) for _ in range(size // 7)]
    subject, person = "Report %d about %s" % (i, rng.choice(WORDS)), "Person %d" % (i % 90)
    if i == 7:
        words[5] = "zanzibar"
        subject += " zanzibar"
        person += " Zanzibar"
    if i % 5 == 0:
        words[len(words) // 2] = "budget"
        subject += " budget"
        person += " Budget"
    lines = [" ".join(words[k:k + 10]) for k in range(0, len(words), 10)]
    head = ["From: %s <p%d@sender%d.example>" % (person, i % 90, i % 17),
            "To: u1@example.test, other%d@example.test" % (i % 7), "Cc: copy%d@example.test" % (i % 3),
            "Subject: " + subject, "Date: %d Mar 2024 %02d:%02d:00 +0000" % (1 + i % 28, i % 24, i % 60),
            "Message-ID: <%d@sender.example>" % i]
    if i % 4:
        head.append("References: <%d@sender.example>" % (i - i % 4))
    head += ["X-Mailer: bench", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
    return ("\r\n".join(head) + "\r\n\r\n" + "\r\n".join(lines) + "\r\n").encode()


class Client:
    def __init__(self, ports, user=1, tls=False):
        self.sock = socket.create_connection(("127.0.0.1", ports["imaps" if tls else "imap"]))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.n = 0
        self.octets = 0  # of the last answer
        self.line()
        self.cmd("LOGIN u%d %s" % (user, servers.PASSWORD))

    def line(self):
        data = b""
        while not data.endswith(b"\r\n"):
            data += self.sock.recv(65536)
        return data

    def send(self, text):
        self.n += 1
        self.tag = b"t%d " % self.n
        self.sock.sendall(self.tag + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")

    def finish(self, keep=False):
        """Reads to the tagged line; octets, or everything when `keep`."""
        got, tail, total = [], b"", 0
        while True:
            data = self.sock.recv(262144)
            if not data:
                raise measure.Failed("the server closed after " + tail[-200:].decode("latin-1"))
            total += len(data)
            if keep:
                got.append(data)
            tail = (tail + data)[-4096:]
            if tail.endswith(b"\r\n"):
                last = tail[tail.rfind(b"\r\n", 0, -2) + 2 if b"\r\n" in tail[:-2] else 0:]
                if last.startswith(self.tag):
                    break
        if not last.startswith(self.tag + b"OK"):
            raise measure.Failed(last.decode("latin-1"))
        self.octets = total
        return b"".join(got) if keep else total

    def cmd(self, text, keep=False):
        self.send(text)
        return self.finish(keep)

    def timed(self, text):
        began = time.monotonic()
        self.cmd(text)
        return (time.monotonic() - began) * 1000

    def append(self, box, data):
        self.send("APPEND %s {%d+}\r\n" % (box, len(data)) + data.decode())
        self.finish()

    def close(self):
        self.sock.close()
