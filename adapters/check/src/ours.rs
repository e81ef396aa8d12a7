//! Our servers and clients of every protocol pass.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use starttls::server::Config;
use starttls::{Introduction, Roles};
use starttls_std::accept;

use crate::dialect::{Ask, Dialect, Peer, Reply, Served, Service, Setup, known};
use crate::{ServerTest, Verdict};

/// Serves connections with our library, and inside TLS with the test's own servers.
fn serve<P: Roles>(listener: &TcpListener, tls: &Arc<ServerConfig>) {
    for socket in listener.incoming() {
        let (socket, tls) = (socket.expect("a connection"), Arc::clone(tls));
        thread::spawn(move || connection::<P>(socket, &tls));
    }
}

/// The end of a connection, which the tests cause, ends the thread.
fn connection<P: Roles>(socket: TcpStream, tls: &Arc<ServerConfig>) -> Option<()> {
    let names = Introduction::new("localhost", [7; 20]);
    let server = P::server(&names, Config::default()).expect("names");
    let mut stream = accept(socket, server, tls).ok()?;
    let dialect = known(&P::PROTOCOL).expect("a dialect");
    let (mut service, said) = asked(dialect);
    service.forget();
    if dialect.greets_inside(&Peer { name: "localhost", said: &said }) {
        stream.write_all(&service.greeting(true)).ok()?;
    }
    let mut unread = Vec::new();
    loop {
        while let Some(length) = service.request_len(&unread) {
            let request: Vec<u8> = unread.drain(..length).collect();
            let answer = match service.serve(&request, true) {
                Served::Answer(answer) | Served::Close(answer) => answer,
                Served::Upgrade => service.reply(Reply::No, &request)?,
            };
            stream.write_all(&answer).ok()?;
        }
        let mut room = [0; 4096];
        match stream.read(&mut room) {
            Ok(n @ 1..) => unread.extend_from_slice(&room[..n]),
            _ => return None,
        }
    }
}

/// A server that has been asked for TLS, since some dialogues go on inside it, and what it said.
fn asked(dialect: &dyn Dialect) -> (Box<dyn Service>, Vec<u8>) {
    let mut service = dialect.service(Setup::CLEAN);
    let mut said = service.greeting(false);
    for ask in [Ask::Hello, Ask::Upgrade] {
        let mut bytes =
            dialect.ask(ask, &Peer { name: "localhost", said: &said }).unwrap_or_default();
        while let Some(length) = service.request_len(&bytes) {
            let request: Vec<u8> = bytes.drain(..length).collect();
            match service.serve(&request, false) {
                Served::Answer(answer) | Served::Close(answer) => said.extend(answer),
                Served::Upgrade => return (service, said),
            }
        }
    }
    panic!("{}: it was not asked", dialect.protocol().name);
}

fn passes<P: Roles>() -> Vec<String> {
    let authority = test_identity::Authority::default();
    let tls = Arc::new(authority.localhost().server());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || serve::<P>(&listener, &tls));
    let name = "localhost".try_into().expect("a name");
    let test = ServerTest::new(P::PROTOCOL, address, name)
        .expect("a protocol with tests")
        .with_verification(Arc::new(authority.client(rustls::ALL_VERSIONS)))
        .with_patience(Duration::from_secs(5))
        .with_pause(Duration::ZERO)
        .with_local_as_remote();
    let name = P::PROTOCOL.name;
    let report = match test.run(|_| true, &mut |_| ()) {
        Ok(report) => report,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    // Our deadlines are longer than this test.
    let open = |id: &str, verdict| id.starts_with("limit/") && verdict == Verdict::Inconclusive;
    let wrong = report.outcomes.iter().filter(|outcome| {
        !matches!(outcome.verdict, Verdict::Pass | Verdict::Skipped)
            && !open(outcome.case.id, outcome.verdict)
    });
    wrong
        .map(|outcome| {
            let verdict = outcome.verdict.name();
            format!("{name}: {}: {verdict}: {}", outcome.case.id, outcome.reason)
        })
        .collect()
}

macro_rules! all {
    ([] $($module:ident::$Type:ident,)*) => {
        [$(passes::<starttls::$module::$Type> as fn() -> Vec<String>),*]
    };
}

#[test]
fn our_servers_pass_in_every_protocol() {
    let runs = starttls::for_each_protocol!(all []).map(thread::spawn);
    let wrong: Vec<_> = runs.into_iter().flat_map(|run| run.join().expect("a run")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
