//! Logins by SCRAM, at our server.

use std::sync::Arc;
use std::thread::JoinHandle;

use starttls::Error as Rule;
use starttls::mail::receiver::{Authentication, Config, Scram};
use starttls::mail::session::{Command, Mechanism};
use starttls::smtp::Smtp;
use starttls_std::{
    Answer, ClientTls, Deliver, Error, Inbox, Login, Mail, Peer, Silent, StoredPassword,
};

use crate::common::{Identity, listen, provider, quick, send};

/// Its one user is `us,er`. A login that reveals the password is a failure.
struct Stored {
    password: StoredPassword,
    users: Vec<Option<String>>,
    proofs: Vec<(String, bool)>,
}

impl Deliver for Stored {
    fn authenticate(&mut self, _: &Peer, _: &str, _: &str) -> Answer {
        panic!("the client sent the password");
    }

    fn stored(&mut self, peer: &Peer, user: &str) -> Option<StoredPassword> {
        assert!(peer.is_encrypted() && peer.user.is_none());
        (user == "us,er").then(|| self.password.clone())
    }

    fn proved(&mut self, _: &Peer, user: &str, is_right: bool) {
        self.proofs.push((user.to_owned(), is_right));
    }

    fn deliver(&mut self, mail: &Mail) -> Answer {
        self.users.push(mail.peer.user.clone());
        Answer::new(250, "2.0.0 Ok")
    }
}

/// The user of each mail, and the proofs.
type Seen = (Vec<Option<String>>, Vec<(String, bool)>);

/// Serves one connection.
fn serve(identity: &Identity, scram: Scram) -> (u16, JoinHandle<Seen>) {
    let config = Config::default().with_authentication(Authentication::Required);
    let inbox = Inbox::new(identity.inbox().with_receiver(config.with_scram(scram)));
    let password = StoredPassword::new("passw0rd", &provider()).expect("a password");
    listen(move |stream| {
        let mut stored = Stored { password, users: Vec::new(), proofs: Vec::new() };
        // A refused client leaves in its own way.
        let _ = inbox.receive::<Smtp>(stream, &mut stored, Silent);
        (stored.users, stored.proofs)
    })
}

fn login(mechanism: Mechanism) -> Login {
    Login::new("us,er", "passw0rd").by(mechanism)
}

#[test]
fn a_client_logs_in_by_the_strongest_mechanism() {
    let identity = Identity::new();
    for (offered, login) in [
        (Scram::Bound, Login::new("us,er", "passw0rd")),
        (Scram::Bound, login(Mechanism::ScramSha256Plus)),
        (Scram::Bound, login(Mechanism::ScramSha256)),
        (Scram::Unbound, Login::new("us,er", "passw0rd")),
        (Scram::Unbound, login(Mechanism::ScramSha256)),
    ] {
        let (port, server) = serve(&identity, offered);
        let settings = identity.settings(port).with_login(login);
        send(&settings, &["a@d.example"], b"x").expect("sent");
        let (users, proofs) = server.join().expect("no panic");
        assert_eq!(users, [Some("us,er".to_owned())], "{offered:?}");
        assert_eq!(proofs, [("us,er".to_owned(), true)], "{offered:?}");
    }
}

#[test]
fn a_mechanism_that_cannot_be_is_not_offered() {
    let identity = Identity::new();
    let (port, server) = serve(&identity, Scram::Unbound);
    let settings = identity.settings(port).with_login(login(Mechanism::ScramSha256Plus));
    let error = send(&settings, &["a@d.example"], b"x").expect_err("no such mechanism");
    assert_eq!(error.protocol(), Some(Rule::NoMechanism), "{error}");
    server.join().expect("no panic");

    // Without TLS 1.3 there is no channel binding that the server knows.
    let tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("a version")
        .with_root_certificates(identity.roots.clone())
        .with_no_client_auth();
    let tls = ClientTls::from_config(Arc::new(tls));
    for (mechanism, sent) in [(Mechanism::ScramSha256Plus, false), (Mechanism::ScramSha256, true)] {
        let (port, server) = serve(&identity, Scram::Bound);
        let settings = starttls_std::Settings::new("localhost", tls.clone());
        let settings = settings.with_port(port).with_timeouts(quick());
        let result = send(&settings.with_login(login(mechanism)), &["a@d.example"], b"x");
        assert_eq!(result.is_ok(), sent, "{mechanism:?} {result:?}");
        server.join().expect("no panic");
    }
}

/// An unknown user and a wrong password get the same reply.
#[test]
fn a_wrong_password_is_refused() {
    let identity = Identity::new();
    for (user, password) in [("us,er", "Passw0rd"), ("other", "passw0rd")] {
        let (port, server) = serve(&identity, Scram::Bound);
        let settings = identity.settings(port).with_login((user, password));
        let refused = send(&settings, &["a@d.example"], b"x");
        let Err(Error::Rejected { command, answer, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((command, answer.code), (Command::Auth, 535));

        assert_eq!(server.join().expect("no panic"), (vec![], vec![(user.to_owned(), false)]));
    }
}
