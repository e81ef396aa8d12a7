//! Sends a server of yours the injections of a table of vectors: bytes right after the request for TLS, which a vulnerable
//! server reads as if they came from inside TLS.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use std::{env, fs, thread};

use starttls_std::ClientTls;
use starttls_std::rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use toml::{Table, Value};

type Failure = Box<dyn Error + Send + Sync>;

/// The silence after which a reply is complete.
const QUIET: Duration = Duration::from_millis(500);

/// How long a server may take for a handshake.
const PATIENCE: Duration = Duration::from_secs(30);

/// The host, which the certificate must name, the port, and the authorities to trust.
type Server<'a> = (&'a str, u16, &'a ClientTls);

fn main() -> Result<(), Failure> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [host, port, table] = &args[..] else {
        return Err("usage: attack HOST PORT TABLE.toml".into());
    };
    let server: Server<'_> = (&host[..], port.parse()?, &ClientTls::system()?);
    let table: Table = fs::read_to_string(table)?.parse()?;
    let rows = table["row"].as_array().ok_or("the table has no rows")?;
    let upgrade = rows
        .iter()
        .find(|row| row["id"].as_str().is_some_and(|id| id.ends_with("-server-upgrade")));
    let upgrade = upgrade.ok_or("the table has no upgrade")?;
    // The first command of the dialogue tells, inside TLS, whether the server has something in front of it.
    let question =
        upgrade["turns"].as_array().and_then(|turns| turns.iter().find_map(|turn| turn.get("in")));
    let question = &octets(question)[..];
    let expected = play(server, upgrade, question);
    let expected = expected.map_err(|error| format!("the clean upgrade fails: {error}"))?;
    let is_injection = |row: &&Value| {
        let error = row.get("error").and_then(Value::as_str).unwrap_or_default();
        error.starts_with("PlaintextAfterGoAhead") && row.get("policy").is_none()
    };
    let outcomes = thread::scope(|scope| {
        let attack = |row| (row, scope.spawn(move || play(server, row, question)));
        let attacks: Vec<_> = rows.iter().filter(is_injection).map(attack).collect();
        attacks
            .into_iter()
            .map(|(row, attack)| (row, attack.join().expect("no panic")))
            .collect::<Vec<_>>()
    });
    let mut vulnerable = 0;
    for (row, outcome) in outcomes {
        let verdict = match outcome {
            Err(error) => format!("refused: {error}"),
            Ok(said) if said.is_empty() => "refused inside TLS".to_owned(),
            Ok(said) if said == expected => "discarded".to_owned(),
            Ok(said) => {
                vulnerable += 1;
                format!("INJECTED, since the server says: {}", said.escape_ascii())
            }
        };
        println!("{}: {verdict}", row["id"].as_str().unwrap_or_default());
    }
    if vulnerable == 0 { Ok(()) } else { Err(format!("{vulnerable} injections succeeded").into()) }
}

/// Plays a row up to TLS. Returns what the server says inside TLS, before and after the question.
fn play(server: Server<'_>, row: &Value, question: &[u8]) -> Result<Vec<u8>, Failure> {
    let (host, port, tls) = server;
    let mut stream = TcpStream::connect((host, port))?;
    let socket = stream.try_clone()?;
    for turn in row["turns"].as_array().into_iter().flatten() {
        stream.write_all(&octets(turn.get("in")))?;
        if turn.get("out").is_some() {
            heard(&mut stream, &socket, PATIENCE)?;
        }
    }
    let tls = ClientConnection::new(tls.rustls(), ServerName::try_from(host.to_owned())?)?;
    let mut stream = StreamOwned::new(tls, stream);
    socket.set_read_timeout(Some(PATIENCE))?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let unasked = heard(&mut stream, &socket, QUIET)?;
    stream.write_all(question)?;
    Ok([unasked, heard(&mut stream, &socket, PATIENCE)?].concat())
}

/// What the server says until it is silent. The first bytes may take longer.
fn heard(stream: &mut impl Read, socket: &TcpStream, patience: Duration) -> io::Result<Vec<u8>> {
    let (mut said, mut room) = (Vec::new(), [0; 4096]);
    loop {
        socket.set_read_timeout(Some(if said.is_empty() { patience } else { QUIET }))?;
        match stream.read(&mut room) {
            Ok(0) => return Ok(said),
            Ok(n) => said.extend(&room[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(said);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The bytes of a value in the tables' format.
fn octets(value: Option<&Value>) -> Vec<u8> {
    match value {
        Some(Value::String(text)) => text.as_bytes().to_vec(),
        Some(Value::Array(parts)) => parts.iter().flat_map(|part| octets(Some(part))).collect(),
        Some(Value::Table(part)) => match (part.get("hex"), part.get("times")) {
            (Some(Value::String(hex)), _) => hex
                .split_whitespace()
                .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
                .collect(),
            (_, Some(Value::Integer(times))) => {
                octets(part.get("repeat")).repeat(usize::try_from(*times).unwrap_or_default())
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
