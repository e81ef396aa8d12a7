//! Tests of a client, by servers of ours.

mod authority;
mod cases;
mod catalogue;
mod program;
mod secrets;
mod visit;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use starttls::Protocol;
use tempfile::NamedTempFile;

use crate::dialect::{Dialect, known};
use crate::exchange::Exchange;
use crate::judge::judge;
use crate::link::Link;
use crate::report::{Case, Outcome, Report, Role, Verdict};
use crate::server::CannotRun;
use authority::{Authority, Flaw};
use catalogue::Test;
use program::{Ended, Program, Values};
use secrets::Secrets;
use visit::{Attack, Host, Visit};

/// A client to be tested: a command that connects to a server of ours.
///
/// In the command `{host}`, `{port}`, `{ca}` (a PEM file), `{user}` and `{password}` stand for the values of each run; the
/// environment has them as `STARTTLS_HOST` and so on. The command has to use the host's name as it stands, to require TLS,
/// and to end by itself.
///
/// The servers listen on this machine only, and every run has a limited time.
#[derive(Clone)]
pub struct ClientTest {
    dialect: &'static dyn Dialect,
    command: Vec<OsString>,
    host: String,
    patience: Duration,
    deadline: Option<Duration>,
}

impl ClientTest {
    /// Tests this command.
    ///
    /// # Errors
    /// There are no tests for the protocol: it is none of [`Protocol::ALL`].
    pub fn new(protocol: Protocol, command: Vec<OsString>) -> Result<Self, CannotRun> {
        let (host, patience) = ("localhost".to_owned(), Duration::from_secs(10));
        Ok(Self { dialect: known(&protocol)?, command, host, patience, deadline: None })
    }

    /// The name by which the client is told to reach the server, and which the certificate has. It must lead to 127.0.0.1.
    /// Default: `localhost`.
    #[must_use]
    pub fn with_host(self, host: impl Into<String>) -> Self {
        Self { host: host.into(), ..self }
    }

    /// The time for one run of the command. A command that still runs then is ended. Default: 10 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The time after which the command must have ended if the server is silent. Without it the cases `limit/…` wait as long
    /// as all others, and decide nothing if the command still runs.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The cases for a protocol, in the order in which they run.
    ///
    /// # Errors
    /// There are no tests for the protocol.
    pub fn cases(protocol: &Protocol) -> Result<Vec<Case>, CannotRun> {
        Ok(catalogue::of(known(protocol)?).map(|test| test.case).collect())
    }

    /// Runs the chosen cases, and calls `progress` after each.
    ///
    /// # Errors
    /// The command cannot be started, or does not get inside TLS in a clean dialogue: nothing was tested.
    pub fn run(
        &self,
        chosen: impl Fn(&Case) -> bool,
        progress: &mut dyn FnMut(&Outcome),
    ) -> Result<Report, CannotRun> {
        let bench = Bench::new(self).map_err(|why| CannotRun(why.to_string()))?;
        let control = bench.control().map_err(CannotRun)?;
        let subject: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        let mut report = Report::new(Role::Client, self.dialect.protocol().name, subject.join(" "));
        report.control = control.exchanges();
        for test in catalogue::of(self.dialect).filter(|test| chosen(&test.case)) {
            let begin = Instant::now();
            let ((verdict, reason), exchanges) = bench.judge(&test, &control);
            let mut outcome = Outcome::new(test.case, verdict, reason);
            (outcome.exchanges, outcome.took) = (exchanges, begin.elapsed());
            progress(&outcome);
            report.outcomes.push(outcome);
        }
        Ok(report)
    }
}

impl std::fmt::Debug for ClientTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = self.dialect.protocol().name;
        f.debug_struct("ClientTest")
            .field("protocol", &protocol)
            .field("command", &self.command)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// One run of the command.
#[derive(Clone)]
pub(crate) struct Run {
    /// Its connections, by their begin.
    pub(crate) visits: Vec<Visit>,
    /// Its connections to the server to which it was referred.
    pub(crate) elsewhere: Vec<Visit>,
    /// How it ended.
    pub(crate) ended: Ended,
    /// What must not be seen in plaintext.
    pub(crate) secrets: Secrets,
}

impl Run {
    fn exchanges(&self) -> Vec<Exchange> {
        let all = self.visits.iter().chain(&self.elsewhere);
        all.map(|visit| visit.kept.lock().map(|kept| kept.clone()).unwrap_or_default()).collect()
    }
}

/// What all cases use.
pub(crate) struct Bench<'a> {
    pub(crate) test: &'a ClientTest,
    authority: Authority,
    ca: NamedTempFile,
}

impl<'a> Bench<'a> {
    fn new(test: &'a ClientTest) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let authority = Authority::new(&test.host)?;
        let mut ca = tempfile::Builder::new().prefix("starttls-").suffix(".pem").tempfile()?;
        ca.write_all(authority.pem.as_bytes())?;
        Ok(Self { test, authority, ca })
    }

    /// The clean dialogue.
    fn control(&self) -> Result<Run, String> {
        let run = self.play(&Attack::CLEAN, Flaw::None)?;
        if run.visits.iter().any(|visit| visit.is_secured() && !visit.inside.is_empty()) {
            return Ok(run);
        }
        let why = match run.visits.iter().find_map(|visit| visit.handshake.clone()) {
            Some(Err(why)) => format!("the handshake failed: {why}"),
            Some(Ok(())) => "the command sent nothing inside TLS".to_owned(),
            None => "the command did not ask for TLS".to_owned(),
        };
        Err(format!("in a clean dialogue {why}; {}", run.ended))
    }

    /// Runs the command against a server that attacks.
    pub(crate) fn play(&self, attack: &Attack, flaw: Flaw) -> Result<Run, String> {
        self.play_for(attack, flaw, self.test.patience)
    }

    /// Runs the command for at most this time.
    pub(crate) fn play_for(
        &self,
        attack: &Attack,
        flaw: Flaw,
        patience: Duration,
    ) -> Result<Run, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let tls = self.authority.server(flaw).map_err(|error| text(&error))?;
        let listen = || TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        let listeners = [listen(), listen()];
        let [here, there] = listeners.map(|listener| listener.map_err(|error| text(&error)));
        let (here, there) = (here?, there?);
        let port = |listener: &TcpListener| {
            listener.local_addr().map(|address| address.port()).map_err(|error| text(&error))
        };
        let secrets = Secrets::new().map_err(|error| text(&error))?;
        let values = Values {
            host: &self.test.host,
            port: port(&here)?,
            ca: &self.ca.path().to_string_lossy(),
            user: &secrets.user,
            password: &secrets.password,
        };
        let mut attack = *attack;
        if attack.setup.refer.is_some() {
            attack.setup.refer = Some(port(&there)?);
        }
        let program = Program::start(&self.test.command, &values)
            .map_err(|error| format!("starting the command: {error}"))?;
        let dialect = self.test.dialect;
        let serve = move |number: usize, socket: TcpStream| {
            // Only the first server refers to the other one.
            let attack = if number == 0 { attack } else { Attack::CLEAN };
            (number, serve(dialect, &attack, &tls, patience, socket))
        };
        let (visits, ended) = program::watch(program, vec![here, there], patience, serve)
            .map_err(|error| text(&error))?;
        let (visits, elsewhere): (Vec<_>, Vec<_>) =
            visits.into_iter().partition(|(number, _)| *number == 0);
        let only =
            |visits: Vec<(usize, Visit)>| visits.into_iter().map(|(_, visit)| visit).collect();
        let run = Run { visits: only(visits), elsewhere: only(elsewhere), ended, secrets };
        if run.visits.is_empty() {
            return Err(format!("the command did not connect; {}", run.ended));
        }
        Ok(run)
    }

    /// Runs a case as often as its verdict needs.
    fn judge(&self, test: &Test, clean: &Run) -> ((Verdict, String), Vec<Exchange>) {
        let play = || match (test.run)(self, clean) {
            Ok((seen, run)) => (Ok(seen), run.map(|run| run.exchanges()).unwrap_or_default()),
            Err(why) => (Err(why), Vec::new()),
        };
        judge(test.case.level, play, || self.control().map(drop))
    }
}

fn serve(
    dialect: &'static dyn Dialect,
    attack: &Attack,
    tls: &Arc<ServerConfig>,
    patience: Duration,
    socket: TcpStream,
) -> Visit {
    let host = Host { dialect, attack, tls, patience };
    match Link::accepted(socket) {
        Ok(link) => host.serve(link),
        Err(why) => Visit { end: Some(why), ..Visit::default() },
    }
}
