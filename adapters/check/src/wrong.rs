//! Servers of every protocol with a fault each: the cases of the fault find it, and no other.
//!
//! The protocols' servers are those of the tests of clients; here something is wrong around them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use starttls::Protocol;

use crate::dialect::{Ask, Dialect, Peer, Reply, Served, Service, Setup, known};
use crate::link::{Broken, Link};
use crate::{ServerTest, Verdict};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing is wrong.
    None,
    /// TLS is offered and refused.
    Refuses,
    /// What came with the request is served inside TLS.
    ReadsAhead,
    /// TLS begins in spite of a parameter.
    Argument,
    /// TLS begins inside TLS.
    Twice,
    /// TLS is offered inside TLS.
    OffersInside,
    /// After a failed handshake plaintext is served.
    GoesOn,
    /// Inside TLS everything from before it is known.
    KeepsState,
    /// A handshake may take for ever.
    Patient,
}

const FAULTS: [Fault; 9] = [
    Fault::None,
    Fault::Refuses,
    Fault::ReadsAhead,
    Fault::Argument,
    Fault::Twice,
    Fault::OffersInside,
    Fault::GoesOn,
    Fault::KeepsState,
    Fault::Patient,
];

/// The cases that find it, in the protocols that have them.
fn expected(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::None => &[],
        Fault::Refuses => &["offer/works"],
        Fault::ReadsAhead => {
            &["injection/same-segment", "injection/half-a-line", "injection/second-request"]
        }
        Fault::Argument => &["request/argument"],
        Fault::Twice => &["request/inside-tls"],
        Fault::OffersInside => &["offer/inside-tls"],
        Fault::GoesOn => &["tls/after-a-failed-handshake"],
        // The servers here need no greeting, no sender and no group.
        Fault::KeepsState => {
            &["state/user", "state/capabilities", "state/options", "state/stream-id"]
        }
        Fault::Patient => &["limit/silence-after-the-go-ahead", "limit/slow-hello"],
    }
}

/// Whether this case may find it, too: whether two segments are one read is a matter of time.
fn is_possible(fault: Fault, case: &str) -> bool {
    match fault {
        Fault::ReadsAhead => {
            ["injection/next-segment", "injection/a-millisecond-later"].contains(&case)
        }
        // The rest of a failed handshake is read as plaintext.
        Fault::GoesOn => case == "limit/slow-hello",
        _ => false,
    }
}

/// The time for a handshake, and for each command.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The longest request, in bytes.
const LINE: usize = 64 * 1024;

/// One connection.
struct Connection {
    dialect: &'static dyn Dialect,
    fault: Fault,
    tls: Arc<ServerConfig>,
    link: Link,
    service: Box<dyn Service>,
    /// Bytes that were read ahead.
    kept: Vec<u8>,
}

impl Connection {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn request(&mut self) -> Result<Vec<u8>, Broken> {
        let (service, kept) = (&self.service, std::mem::take(&mut self.kept));
        let whole = |unread: &[u8]| service.request_len(&[&kept, unread].concat());
        if let Some(length) = service.request_len(&kept) {
            self.kept = kept[length..].to_vec();
            return Ok(kept[..length].to_vec());
        }
        let rest = |_: &[u8], unread: &[u8]| match whole(unread) {
            Some(length) => Some(length - kept.len()),
            None => (unread.len() > LINE).then_some(unread.len()),
        };
        let rest = self.link.hear(PATIENCE, rest)?;
        if rest.len() > LINE { Err(Broken::Closed) } else { Ok([kept, rest].concat()) }
    }

    fn plaintext(&mut self) -> Result<(), Broken> {
        let greeting = self.service.greeting(false);
        self.say(&greeting)?;
        let asked = |ask| self.dialect.ask(ask, &Peer { name: "localhost", said: &[] });
        let [argument, login, upgrade] = [Ask::Argument, Ask::Login, Ask::Upgrade].map(asked);
        let has_lines = upgrade.is_some_and(|request| request.ends_with(b"\r\n"));
        loop {
            let request = self.request()?;
            // The services are lenient.
            if has_lines && !request.ends_with(b"\r\n") {
                return Err(Broken::Closed);
            }
            if login.as_ref() == Some(&request) {
                self.answer(Reply::No, &request)?;
                continue;
            }
            match self.service.serve(&request, false) {
                Served::Answer(answer) => self.say(&answer)?,
                Served::Close(answer) => return self.say(&answer),
                Served::Upgrade => {
                    let has_argument = argument.as_ref() == Some(&request);
                    let refuses = has_argument && !self.is(Fault::Argument);
                    if refuses || self.is(Fault::Refuses) {
                        self.answer(Reply::No, &request)?;
                    } else if self.upgrade(&request)? {
                        return self.inside();
                    }
                }
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if bytes.is_empty() { Ok(()) } else { self.link.send(bytes) }
    }

    /// The connection ends where the protocol has no such answer.
    fn answer(&mut self, reply: Reply, request: &[u8]) -> Result<(), Broken> {
        let reply = self.service.reply(reply, request).ok_or(Broken::Closed)?;
        self.say(&reply)
    }

    /// Whether TLS is up.
    fn upgrade(&mut self, request: &[u8]) -> Result<bool, Broken> {
        // A ClientHello comes at once where there is no go-ahead to wait for.
        if self.is(Fault::ReadsAhead) && self.link.unread().first() != Some(&22) {
            let unread = self.link.unread();
            let hello = unread.windows(3).position(|part| part == [22, 3, 1]);
            self.kept = self.link.take(hello.unwrap_or(usize::MAX));
        }
        self.answer(Reply::GoAhead, request)?;
        let patience = if self.is(Fault::Patient) { PATIENCE * 10 } else { PATIENCE };
        match self.link.secure_server(&self.tls, &[], patience) {
            Err(_) if self.is(Fault::GoesOn) => Ok(false),
            shaken => shaken.map(|()| true),
        }
    }

    fn inside(&mut self) -> Result<(), Broken> {
        if !self.is(Fault::KeepsState) {
            self.service.forget();
        }
        let greeting = self.service.greeting(true);
        self.say(&greeting)?;
        loop {
            let request = self.request()?;
            match self.service.serve(&request, true) {
                Served::Answer(mut answer) => {
                    if self.is(Fault::KeepsState) {
                        answer = again(answer);
                    }
                    self.say(&answer)?;
                }
                Served::Close(answer) => return self.say(&answer),
                Served::Upgrade if self.is(Fault::Twice) => {
                    self.answer(Reply::GoAhead, &request)?;
                }
                Served::Upgrade => self.answer(Reply::No, &request)?,
            }
        }
    }
}

/// The id of the first stream instead of that of the second.
fn again(answer: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(answer) {
        Ok(text) => text.replace("id='check-2'", "id='check-1'").into(),
        Err(error) => error.into_bytes(),
    }
}

fn start(dialect: &'static dyn Dialect, fault: Fault, tls: Arc<ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let serve = move |socket: TcpStream, tls: Arc<ServerConfig>| {
        let setup = Setup { offers_inside: fault == Fault::OffersInside, ..Setup::CLEAN };
        let link = Link::accepted(socket).expect("a connection");
        let (service, kept) = (dialect.service(setup), Vec::new());
        let mut connection = Connection { dialect, fault, tls, link, service, kept };
        // The tests end connections in every way.
        let _ = connection.plaintext();
        connection.link.close();
    };
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let tls = Arc::clone(&tls);
            thread::spawn(move || serve(socket, tls));
        }
    });
    address
}

/// The difference from the expected result, if there is one.
fn differs(protocol: &Protocol, fault: Fault, tls: &Arc<ServerConfig>) -> Option<String> {
    let dialect = known(protocol).expect("a dialect");
    let address = start(dialect, fault, Arc::clone(tls));
    let cases = ServerTest::cases(protocol).expect("cases");
    let expected: Vec<_> =
        cases.iter().map(|case| case.id).filter(|id| expected(fault).contains(id)).collect();
    let report = ServerTest::new(*protocol, address, "localhost".try_into().expect("a name"))
        .expect("a protocol with tests")
        .with_patience(Duration::from_secs(3))
        // More than twice what the servers wait.
        .with_deadline(Duration::from_secs(4))
        .with_pause(Duration::ZERO)
        .with_failing_logins()
        .run(|_| true, &mut |_| ());
    let report = match report {
        Ok(report) => report,
        Err(error) => return Some(format!("{}, {fault:?}: {error}", protocol.name)),
    };
    let decided = report.outcomes.iter().filter(|outcome| {
        !matches!(outcome.verdict, Verdict::Pass | Verdict::Skipped)
            && !is_possible(fault, outcome.case.id)
    });
    let (found, why): (Vec<&str>, Vec<&str>) =
        decided.map(|outcome| (outcome.case.id, &outcome.reason[..])).unzip();
    let expected: Vec<_> =
        expected.into_iter().filter(|id| !is_unseen(protocol, fault, id)).collect();
    let is_right = found == expected;
    (!is_right).then(|| {
        let name = protocol.name;
        let passed = report.outcomes.iter().filter(|outcome| expected.contains(&outcome.case.id));
        let passed: Vec<_> = passed.map(|outcome| (outcome.case.id, &outcome.reason)).collect();
        format!("{name}, {fault:?}: found {found:?} {why:?}, expected {passed:?}")
    })
}

/// Whether the protocol's server here does not serve what the fault lets through: one of RDP takes one request for a
/// connection, and one of PostgreSQL no such request after the first message.
fn is_unseen(protocol: &Protocol, fault: Fault, case: &str) -> bool {
    match *protocol {
        Protocol::RDP => fault == Fault::GoesOn || case == "injection/second-request",
        Protocol::POSTGRES => fault == Fault::Twice,
        _ => false,
    }
}

#[test]
fn each_fault_is_found_in_every_protocol() {
    let authority = test_identity::Authority::default();
    let tls = Arc::new(authority.localhost().server());
    let runs = Protocol::ALL.iter().flat_map(|protocol| FAULTS.map(|fault| (protocol, fault)));
    let runs = Mutex::new(runs);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                loop {
                    let next = runs.lock().expect("the runs").next();
                    let Some((protocol, fault)) = next else { break };
                    let differs = differs(protocol, fault, &tls);
                    wrong.lock().expect("the list").extend(differs);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("the list");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
