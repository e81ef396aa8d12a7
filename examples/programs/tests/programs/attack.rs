//! The attacker: our servers refuse, and it finds those that do not.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use starttls::server::Config;
use starttls::{Introduction, Roles};
use starttls_std::accept;
use starttls_std::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::{Files, PATIENCE, run};

/// Runs the program. Returns whether it succeeds, and the verdicts.
fn attack(files: &Files, port: u16, table: &str) -> (bool, Vec<String>) {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(table);
    let mut command = files.command(env!("CARGO_BIN_EXE_attack"));
    let (status, said, failed) = run(command.args(["localhost", &port.to_string()]).arg(table));
    let verdict = |line: &str| line.split_once(": ").expect("a verdict").1.to_owned();
    let verdicts: Vec<_> = said.lines().map(verdict).collect();
    assert!(verdicts.len() > 5, "{said}{failed}");
    (status.success(), verdicts)
}

/// An IMAP server that reads ahead. Inside TLS it reads what it has, or discards that.
fn careless(stream: TcpStream, tls: &Arc<ServerConfig>, discards: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    reader.get_mut().write_all(b"* OK ready\r\n")?;
    let mut line = String::new();
    while !line.contains("STARTTLS") {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        reader.get_mut().write_all(b"a OK done\r\n")?;
    }
    let mut unread = if discards { Vec::new() } else { reader.buffer().to_vec() };
    let tls = ServerConnection::new(Arc::clone(tls)).expect("a server");
    let mut stream = StreamOwned::new(tls, reader.into_inner());
    loop {
        while let Some(end) = unread.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            let known = line == b"a CAPABILITY\r\n";
            stream.write_all(if known { b"a OK done\r\n" } else { b"* BAD what\r\n" })?;
        }
        let mut room = [0; 512];
        match stream.read(&mut room)? {
            0 => return Ok(()),
            n => unread.extend(&room[..n]),
        }
    }
}

/// Serves any number of connections for a limited time. Returns the port.
fn start(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.set_nonblocking(true).expect("an option");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(5));
                }
                accepted => {
                    let (stream, _) = accepted.expect("a connection");
                    stream.set_nonblocking(false).expect("an option");
                    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
                    let serve = serve.clone();
                    thread::spawn(move || serve(stream));
                }
            }
        }
    });
    port
}

/// A server of `P`, which repeats inside TLS what it is told.
fn ours<P: Roles>(files: &Files) -> u16 {
    let tls = Arc::new(files.server.server());
    start(move |stream| {
        let names = Introduction::new("localhost", *b"abcdefghijklmnopqrst");
        let server = P::server(&names, Config::default()).expect("names");
        let Ok(mut stream) = accept(stream, server, &tls) else { return };
        let mut room = [0; 512];
        while let Ok(1..) = stream.read(&mut room).inspect(|n| drop(stream.write_all(&room[..*n])))
        {
        }
    })
}

macro_rules! refuse {
    ($($module:ident::$Type:ident,)*) => {
        [$((ours::<starttls::$module::$Type> as fn(&Files) -> u16, stringify!($module))),*]
    };
}

#[test]
fn our_servers_refuse_every_injection() {
    let files = Files::new();
    let all = refuse!(
        smtp::Smtp,
        lmtp::Lmtp,
        imap::Imap,
        pop3::Pop3,
        ftp::Ftp,
        nntp::Nntp,
        sieve::Sieve,
        irc::Irc,
        nut::Nut,
    );
    thread::scope(|scope| {
        for (server, module) in all {
            let files = &files;
            scope.spawn(move || {
                let (success, verdicts) =
                    attack(files, server(files), &format!("{module}-server.toml"));
                let refused = verdicts.iter().all(|verdict| verdict.starts_with("refused: "));
                assert!(success && refused, "{module}: {verdicts:?}");
            });
        }
    });
}

#[test]
fn other_servers_are_found() {
    let files = Files::new();
    let [(safe, discarded), (vulnerable, injected)] = [true, false].map(|discards| {
        let tls = Arc::new(files.server.server());
        // The attacker breaks off.
        let port = start(move |stream| drop(careless(stream, &tls, discards)));
        attack(&files, port, "imap-server.toml")
    });
    assert!(safe && discarded.iter().all(|verdict| verdict == "discarded"), "{discarded:?}");
    assert!(
        !vulnerable && injected.iter().all(|verdict| verdict.starts_with("INJECTED")),
        "{injected:?}"
    );
}
