//! What the application learns of a client.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::JoinHandle;

use starttls::lmtp::Lmtp;
use starttls::mail::receiver::{self, Authentication};
use starttls::smtp::{Dialect, Smtp};
use starttls::{Policy, server};
use starttls_std::{Answer, Deliver, Inbox, InboxSettings, Mail, Peer, Recipient, Silent};

use crate::common::{Identity, listen, send, send_lmtp};

/// Stores what is known of the client at each question, and accepts all.
#[derive(Default)]
struct Facts(Vec<String>);

impl Facts {
    fn note(&mut self, question: &str, peer: &Peer) -> Answer {
        let address = peer.address.map(|address| address.ip().to_string()).unwrap_or_default();
        let tls = peer.tls.as_ref().map(|tls| {
            let name = tls.name.as_deref().unwrap_or("-");
            format!("{:?} {} {name}", tls.version, tls.cipher_name().starts_with("TLS_"))
        });
        let (tls, hello) = (tls.unwrap_or_default(), peer.hello.as_deref().unwrap_or("-"));
        let form = (peer.extended, peer.lmtp);
        let user = peer.user.as_deref().unwrap_or("-");
        self.0.push(format!("{question} {address} {hello} {form:?} {tls} {user}"));
        Answer::new(250, "2.0.0 Ok")
    }
}

impl Deliver for Facts {
    fn authenticate(&mut self, peer: &Peer, _: &str, _: &str) -> Answer {
        self.note("login", peer)
    }

    fn sender(&mut self, mail: &Mail) -> Answer {
        self.note("sender", &mail.peer)
    }

    fn recipient(&mut self, mail: &Mail, recipient: &Recipient) -> Answer {
        self.note(&format!("recipient {}", recipient.path), &mail.peer)
    }

    fn keep(&mut self, mail: &mut Mail, _: &[u8]) -> Result<(), Answer> {
        self.note("keep", &mail.peer);
        Ok(())
    }

    fn deliver(&mut self, mail: &Mail) -> Answer {
        let to: Vec<_> = mail.to.iter().map(|to| to.path.as_str()).collect();
        self.note(&format!("deliver {}", to.join(",")), &mail.peer)
    }
}

/// Serves one connection, and returns what was known of the client.
fn facts<D: Dialect>(inbox: InboxSettings) -> (u16, JoinHandle<Vec<String>>) {
    listen(move |stream| {
        let mut facts = Facts::default();
        Inbox::new(inbox).receive::<D>(stream, &mut facts, Silent).expect("a goodbye");
        facts.0
    })
}

#[test]
fn the_application_knows_the_client() {
    let identity = Identity::new();
    let config = receiver::Config::default().with_authentication(Authentication::Offered);
    let (port, server) = facts::<Smtp>(identity.inbox().with_receiver(config));
    let settings = identity.settings(port).with_login(("user", "secret")).with_domain("me.example");
    send(&settings, &["a@d.example"], b"x").expect("sent");
    let known = "127.0.0.1 me.example (true, false) TLSv1_3 true localhost";
    assert_eq!(
        server.join().expect("no panic"),
        [
            format!("login {known} -"),
            format!("sender {known} user"),
            format!("recipient a@d.example {known} user"),
            format!("keep {known} user"),
            format!("deliver a@d.example {known} user"),
        ]
    );
}

/// RFC 2033 §4.2: the application is asked once for each accepted recipient.
#[test]
fn lmtp_delivers_to_one_recipient_at_a_time() {
    let identity = Identity::new();
    let (port, server) = facts::<Lmtp>(identity.inbox());
    let settings = identity.settings(port).with_domain("me.example");
    let receipt = send_lmtp(&settings, &["a@d.example", "b@d.example"], b"x").expect("sent");
    assert!(receipt.is_complete());
    let known = server.join().expect("no panic");
    let delivered: Vec<_> = known.iter().filter(|line| line.starts_with("deliver")).collect();
    assert!(delivered[0].starts_with("deliver a@d.example 127.0.0.1 me.example (true, true)"));
    assert!(delivered[1].starts_with("deliver b@d.example 127.0.0.1 me.example (true, true)"));
    assert_eq!(delivered.len(), 2);
}

/// What a client says before TLS is known only as long as there is no TLS.
#[test]
fn the_hello_in_plaintext_is_known_until_tls_starts() {
    let identity = Identity::new();
    for (said, expected) in [
        (
            "EHLO  plain.example\r\nMAIL FROM:<>\r\nQUIT\r\n",
            "sender 127.0.0.1 plain.example (true, false)  -",
        ),
        (
            "helo plain.example\r\nMAIL FROM:<>\r\nQUIT\r\n",
            "sender 127.0.0.1 plain.example (false, false)  -",
        ),
        (
            "EHLO plain.example\r\nMAIL FROM:<>\r\nHELO two.example\r\nMAIL FROM:<>\r\nQUIT\r\n",
            "sender 127.0.0.1 two.example (false, false)  -",
        ),
    ] {
        let upgrade = server::Config::default().with_policy(Policy::Opportunistic);
        let (port, server) = facts::<Smtp>(identity.inbox().with_upgrade(upgrade));
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        for line in said.split_inclusive('\n') {
            stream.write_all(line.as_bytes()).expect("written");
        }
        stream.read_to_end(&mut Vec::new()).expect("an end");
        assert_eq!(server.join().expect("no panic").last().expect("a sender"), expected, "{said}");
    }
}
