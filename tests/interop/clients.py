"""Clients of Python's standard library: clients.py NAME PORT CA FILE

    imap pop3   upgrade, log in, and compare the first mail with FILE
    ftp         upgrades, fetches "file" in plaintext, compares it with FILE, and fails to fetch it by TLS
    ftp-tls     connects in plaintext to PORT, which leads to a server with TLS: fetches and stores FILE over
                data connections with TLS to the server itself
    nntp        upgrade, log in, and select a group
"""

import ftplib
import imaplib
import io
import poplib
import ssl
import sys
import warnings

USER, PASSWORD, HOST = "test", "secret", "localhost"


def imap(port, tls, expected):
    client = imaplib.IMAP4(HOST, port)
    assert "STARTTLS" in client.capabilities and "LOGINDISABLED" in client.capabilities
    client.starttls(tls)
    assert "STARTTLS" not in client.capabilities, client.capabilities
    client.login(USER, PASSWORD)
    client.select(readonly=True)
    _, parts = client.fetch("1", "(BODY.PEEK[])")
    assert parts[0][1] == expected, parts
    client.logout()


def pop3(port, tls, expected):
    client = poplib.POP3(HOST, port)
    assert "STLS" in client.capa()
    client.stls(tls)
    assert "STLS" not in client.capa()
    client.user(USER)
    client.pass_(PASSWORD)
    _, lines, _ = client.retr(1)
    assert b"\r\n".join(lines) + b"\r\n" == expected, lines
    client.quit()


def fetched(client):
    into = io.BytesIO()
    client.retrbinary("RETR file", into.write)
    return into.getvalue()


def ftp(port, tls, expected):
    client = ftplib.FTP_TLS(context=tls)
    client.connect(HOST, port)
    client.login()
    assert isinstance(client.sock, ssl.SSLSocket)
    assert fetched(client) == expected
    try:
        client.prot_p()
        raise AssertionError("the backend has no TLS for data")
    except ftplib.error_perm:
        pass
    client.quit()


def ftp_tls(port, tls, expected):
    client = ftplib.FTP_TLS(context=tls)
    client.connect(HOST, port)
    client.login(secure=False)
    try:
        fetched(client)
        raise AssertionError("the server sends data without TLS")
    except ftplib.error_perm:
        pass
    client.prot_p()
    assert fetched(client) == expected
    client.storbinary("STOR in/uploaded", io.BytesIO(expected))
    assert client.size("in/uploaded") == len(expected)
    client.quit()


def nntp(port, tls, _):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import nntplib
    client = nntplib.NNTP(HOST, port)
    assert "STARTTLS" in client.getcapabilities()
    client.starttls(tls)
    client.login(USER, PASSWORD)
    answer, *_ = client.group("test.general")
    assert answer.startswith("211 "), answer
    client.quit()


async def nowhere(*_):
    return None


def xmpp(port, tls, _):
    import slixmpp

    client = slixmpp.ClientXMPP(f"{USER}@example.test", PASSWORD)
    client.get_ssl_context = lambda: tls
    # Otherwise it looks for the domain's address even if it is given one.
    client._pick_dns_answer = nowhere
    session = client.loop.create_future()

    def end(outcome):
        if not session.done():
            session.set_result(outcome)

    client.add_event_handler("session_start", lambda _: end("in"))
    client.add_event_handler("failed_auth", lambda _: end("not in"))
    client.add_event_handler("connection_failed", end)
    client.add_event_handler("disconnected", end)
    client.connect((HOST, port))
    client.loop.call_later(20, end, "nothing")
    outcome = client.loop.run_until_complete(session)
    assert outcome == "in", outcome
    assert client.transport.get_extra_info("ssl_object") is not None
    client.loop.run_until_complete(client.disconnect())


if __name__ == "__main__":
    _, name, port, ca, file = sys.argv
    tls = ssl.create_default_context(cafile=ca)
    client = {"imap": imap, "pop3": pop3, "ftp": ftp, "ftp-tls": ftp_tls, "nntp": nntp, "xmpp": xmpp}[name]
    with open(file, "rb") as expected:
        client(int(port), tls, expected.read())
