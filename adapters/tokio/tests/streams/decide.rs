//! An application's decisions before TLS.

use std::sync::Arc;

use rustls::ServerConfig;
use starttls::server::{Config, Grammar};
use starttls::smtp::{self, Domain};
use starttls::{Policy, Server, Untrusted, nut};
use starttls_tokio::{Decide, Error, accept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::join;

use crate::common::{Identity, ping, pipe, read_to};

/// Refuses the first upgrade, and knows one command.
struct Moody {
    tls: Arc<ServerConfig>,
    refusals: usize,
    lines: Vec<String>,
    heard: Vec<String>,
}

impl<G: Grammar> Decide<G> for Moody {
    fn tls(&mut self, _: &Server<G>) -> Arc<ServerConfig> {
        Arc::clone(&self.tls)
    }

    fn upgrade(&mut self, _: &Server<G>) -> bool {
        let accepted = self.refusals == 0;
        self.refusals = self.refusals.saturating_sub(1);
        accepted
    }

    fn command(&mut self, _: &Server<G>, command: Untrusted<'_>) -> Option<Vec<String>> {
        self.heard.push(command.to_string());
        (command.as_untrusted_bytes() == b"HELP 1").then(|| self.lines.clone())
    }
}

/// A server that requires TLS would answer no command before it.
fn lenient() -> smtp::Server<'static> {
    let config = Config::default().with_policy(Policy::Opportunistic);
    smtp::Server::new(Domain::LOCALHOST, config)
}

#[tokio::test(start_paused = true)]
async fn refused_and_then_accepted() {
    let identity = Identity::new();
    let mut moody = Moody {
        tls: Arc::clone(&identity.server),
        refusals: 2,
        lines: Vec::new(),
        heard: Vec::new(),
    };
    let (mut here, there) = pipe();
    let server = accept(there, nut::Server::new(Config::default()), &mut moody);
    let (client, server) = join!(
        async {
            for expected in ["ERR", "ERR", "OK"] {
                here.write_all(b"STARTTLS\n").await.expect("written");
                let answer = read_to(&mut here, b"\n").await;
                assert!(answer.starts_with(expected.as_bytes()), "{}", answer.escape_ascii());
            }
            let name = "localhost".try_into().expect("a name");
            identity.connector.connect(name, here).await
        },
        server
    );
    ping(client.expect("connected"), server.expect("accepted")).await;
}

#[tokio::test(start_paused = true)]
async fn the_application_s_commands() {
    let identity = Identity::new();
    let long = "x".repeat(3000);
    for (lines, expected) in [
        (vec!["first".to_owned(), "second".to_owned()], "first\r\nsecond\r\n".to_owned()),
        (vec![long.clone()], format!("{long}\r\n")),
    ] {
        let mut moody =
            Moody { tls: Arc::clone(&identity.server), refusals: 0, lines, heard: Vec::new() };
        let (mut here, there) = pipe();
        let ((), failed) = join!(
            async {
                here.write_all(b"EHLO me\r\nHELP 1\r\nHELP 2\r\n").await.expect("written");
                here.shutdown().await.expect("closed");
                let mut said = String::new();
                here.read_to_string(&mut said).await.expect("ASCII");
                let (_, answers) = said.split_once("250 ENHANCEDSTATUSCODES\r\n").expect(&said);
                let unknown = answers.strip_prefix(&expected).expect(&said);
                assert!(unknown.starts_with("500 "), "{said}");
            },
            accept(there, lenient(), &mut moody),
        );
        assert!(failed.is_err());
        assert_eq!(moody.heard, ["HELP 1", "HELP 2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_reply() {
    let identity = Identity::new();
    let mut moody = Moody {
        tls: Arc::clone(&identity.server),
        refusals: 0,
        lines: vec!["a\nb".to_owned()],
        heard: Vec::new(),
    };
    let (mut here, there) = pipe();
    here.write_all(b"EHLO me\r\nHELP 1\r\n").await.expect("written");
    let failed = accept(there, lenient(), &mut moody).await;
    assert!(matches!(failed, Err(Error::Argument { .. })), "{failed:?}");
    let mut said = Vec::new();
    here.read_to_end(&mut said).await.expect("closed");
    assert!(!said.is_empty() && !said.ends_with(b"b\r\n"), "{said:?}");
}
