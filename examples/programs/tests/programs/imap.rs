//! The IMAP server, with Python's client.

use std::net::SocketAddr;
use std::process::Command;

use crate::common::{Files, Running, run};

pub(crate) fn start(files: &Files) -> (Running, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imap-server"));
    command.arg("127.0.0.1:0").args([files.path("chain.pem"), files.path("key.pem")]).arg("me");
    Running::listening(command.env("PASSWORD", "secret"))
}

/// Port and CA are the arguments.
const CLIENT: &str = r#"
import imaplib, ssl, sys

port, ca = int(sys.argv[1]), sys.argv[2]

def connect():
    client = imaplib.IMAP4("localhost", port, timeout=30)
    assert "STARTTLS" in client.capabilities and "LOGINDISABLED" in client.capabilities
    client.starttls(ssl.create_default_context(cafile=ca))
    return client

client = connect()
assert client.capabilities == ("IMAP4REV1",), client.capabilities
for fault in (lambda: client.login("me", "wrong"), lambda: client.select()):
    try:
        fault()
        sys.exit("not refused")
    except imaplib.IMAP4.error:
        pass
assert client.login("me", "secret")[0] == "OK"
assert client.noop()[0] == "OK"
assert client.select("INBOX") == ("OK", [b"0"])
assert client.select("Other")[0] == "NO"
assert client.logout() == ("BYE", [b"Goodbye"])

# A password as a literal waits for permission, and several commands arrive at once.
client = connect()
client.send(b"a LOGIN me {6}\r\n")
assert client.readline().startswith(b"+ ")
client.send(b"secret\r\nb NOOP\r\nc NOOP\r\n")
for tag in (b"a", b"b", b"c"):
    assert client.readline().startswith(tag + b" OK")
client.send(b"(\r\nd NOOP\r\n")
assert client.readline() == b"* BYE Not a command\r\n"
assert client.readline() == b""
client.shutdown()

# A command has a limit.
client = connect()
client.send(b"a LOGIN me {20000}\r\n")
assert client.readline().startswith(b"+ ")
client.send(b"x" * 20000)
assert client.readline() == b"* BYE Command too long\r\n"
client.shutdown()

# Without TLS there is no login.
client = imaplib.IMAP4("localhost", port, timeout=30)
client.send(b"a LOGIN me secret\r\n")
assert client.readline().startswith(b"a NO [PRIVACYREQUIRED]")
client.shutdown()

# Another authority did not sign its certificate.
client = imaplib.IMAP4("localhost", port, timeout=30)
try:
    client.starttls(ssl.create_default_context())
    sys.exit("not verified")
except ssl.SSLCertVerificationError:
    print("all done")
"#;

#[test]
#[ignore = "needs Python; `.ci/run` runs it"]
fn python_reads_an_empty_mailbox() {
    let files = Files::new();
    let (_running, address) = start(&files);
    let mut python = Command::new("python3");
    python.args(["-c", CLIENT, &address.port().to_string()]).arg(files.path("ca.pem"));
    let (status, said, failed) = run(&mut python);
    assert!(status.success(), "{failed}");
    assert_eq!(said, "all done\n");
}
