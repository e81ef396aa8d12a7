"""Logs in over STARTTLS as Python's standard library does: logins.py PROTOCOL

Server, CA and login are in the environment, as `starttls test-client` sets it.
"""

import ftplib
import imaplib
import os
import poplib
import smtplib
import ssl
import sys
import warnings


def smtp(host, port, tls, login):
    with smtplib.SMTP(host, port) as client:
        client.starttls(context=tls)
        client.login(*login)
        client.sendmail("sender@example.test", "you@example.test", "Subject: a\r\n\r\n")


def imap(host, port, tls, login):
    with imaplib.IMAP4(host, port) as client:
        client.starttls(tls)
        client.login(*login)
        client.select(readonly=True)


def pop3(host, port, tls, login):
    client = poplib.POP3(host, port)
    client.stls(tls)
    client.user(login[0])
    client.pass_(login[1])
    client.quit()


def ftp(host, port, tls, login):
    with ftplib.FTP_TLS(context=tls) as client:
        client.connect(host, port)
        client.login(*login)


def nntp(host, port, tls, login):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import nntplib
    with nntplib.NNTP(host, port) as client:
        client.starttls(tls)
        client.login(*login)


if __name__ == "__main__":
    host, port, ca, user, password = (
        os.environ["STARTTLS_" + name] for name in ("HOST", "PORT", "CA", "USER", "PASSWORD"))
    client = {"smtp": smtp, "imap": imap, "pop3": pop3, "ftp": ftp, "nntp": nntp}[sys.argv[1]]
    client(host, int(port), ssl.create_default_context(cafile=ca), (user, password))
