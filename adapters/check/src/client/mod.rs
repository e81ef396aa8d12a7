//! Tests of a client, by servers of ours.

mod authority;
mod cases;
mod catalogue;
mod program;
mod secrets;
mod subject;
mod visit;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use starttls::Protocol;
use tempfile::NamedTempFile;

use crate::dialect::{Dialect, known};
use crate::exchange::Exchange;
use crate::judge::judge;
use crate::link::Link;
use crate::report::{Case, Outcome, Report, Role, Verdict};
use crate::server::CannotRun;
pub use authority::TestAuthority;
use authority::{Authority, Flaw};
use catalogue::Test;
use program::{Ended, Program, Until, Values};
use secrets::Secrets;
use subject::Subject;
use visit::{Attack, Host, Visit};

/// A client to be tested: a command that connects to a server of ours, or a device that does.
///
/// In a command `{host}`, `{port}`, `{ca}` and `{crl}` (PEM files), `{user}` and `{password}` stand for the values of each
/// run; the environment has them as `STARTTLS_HOST` and so on. The command has to use the host's name as it stands, to
/// require TLS, and to end by itself unless there is [a wait](Self::with_wait).
///
/// For a command the servers listen on this machine only. Every run has a limited time.
#[derive(Clone)]
pub struct ClientTest {
    dialect: &'static dyn Dialect,
    subject: Subject,
    host: String,
    patience: Duration,
    deadline: Option<Duration>,
    wait: Option<Duration>,
    authority: Option<TestAuthority>,
    login: Option<(String, String)>,
    stop: Arc<AtomicBool>,
}

/// The quiet after which a run with a device is over.
const QUIET: Duration = Duration::from_secs(3);

impl ClientTest {
    /// Tests this command.
    ///
    /// # Errors
    /// There are no tests for the protocol: it is none of [`Protocol::ALL`].
    pub fn new(protocol: Protocol, command: Vec<OsString>) -> Result<Self, CannotRun> {
        Self::of(protocol, Subject::Command(command))
    }

    /// Tests a device that connects to this listener, again and again: each run takes its next connections. It has to be
    /// configured once, with [an authority](Self::with_authority) and [a login](Self::with_login) that stay.
    ///
    /// What a device prints is not seen, and it has no exit status, so some cases see less.
    ///
    /// # Errors
    /// There are no tests for the protocol: it is none of [`Protocol::ALL`]. Or the listener has no address.
    pub fn listening(protocol: Protocol, listener: TcpListener) -> Result<Self, CannotRun> {
        let address = listener.local_addr().map_err(|error| CannotRun(error.to_string()))?;
        let subject = Subject::Device(Arc::new(listener), address);
        Ok(Self { wait: Some(QUIET), ..Self::of(protocol, subject)? })
    }

    fn of(protocol: Protocol, subject: Subject) -> Result<Self, CannotRun> {
        Ok(Self {
            dialect: known(&protocol)?,
            subject,
            host: "localhost".to_owned(),
            patience: Duration::from_secs(10),
            deadline: None,
            wait: None,
            authority: None,
            login: None,
            stop: Arc::default(),
        })
    }

    /// The name by which the client is told to reach the server, and which the certificate has. It must lead to the
    /// address on which the servers listen: 127.0.0.1 for a command. Default: `localhost`.
    #[must_use]
    pub fn with_host(self, host: impl Into<String>) -> Self {
        Self { host: host.into(), ..self }
    }

    /// The time for one run. A command that still runs then is ended; a device has to connect within it. Default: 10 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The time after which the command must have ended if the server is silent; of a client that does not end by itself, the
    /// connection. Without it the cases `limit/…` wait as long as all others, and decide nothing if the client still waits.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The client does not end by itself, such as a program with windows: a run is over when nothing was sent for so long.
    /// For a device the default is 3 s.
    #[must_use]
    pub fn with_wait(self, quiet: Duration) -> Self {
        Self { wait: Some(quiet), ..self }
    }

    /// The CA of the servers' certificates. Default: one for this run only.
    #[must_use]
    pub fn with_authority(self, authority: TestAuthority) -> Self {
        Self { authority: Some(authority), ..self }
    }

    /// The name and the password that the client uses. They are looked for in plaintext and stand in reports, so that they
    /// must be good for nothing else. Default: random ones for each run.
    #[must_use]
    pub fn with_login(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { login: Some((user.into(), password.into())), ..self }
    }

    /// Ends the test when another thread sets this: the command is ended, and [`run`](Self::run) fails.
    #[must_use]
    pub fn with_stop(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// The tested client as text: the command, or the address to which the device connects.
    #[must_use]
    pub fn subject(&self) -> String {
        self.subject.to_string()
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
    /// The command cannot be started, no device connects, or the client does not get inside TLS in a clean dialogue: nothing
    /// was tested. Or the test was stopped.
    pub fn run(
        &self,
        chosen: impl Fn(&Case) -> bool,
        progress: &mut dyn FnMut(&Outcome),
    ) -> Result<Report, CannotRun> {
        let bench = Bench::new(self).map_err(|why| CannotRun(why.to_string()))?;
        let stopped = || self.stop.load(Ordering::SeqCst);
        let why = |why| CannotRun(if stopped() { "stopped".to_owned() } else { why });
        let control = bench.control().map_err(why)?;
        let name = self.dialect.protocol().name;
        let mut report = Report::new(Role::Client, name, self.subject.to_string());
        (report.control, report.control_passed) = (control.exchanges(), true);
        for test in catalogue::of(self.dialect).filter(|test| chosen(&test.case)) {
            let begin = Instant::now();
            let ((verdict, reason), exchanges) = bench.judge(&test, &control);
            let mut outcome = Outcome::new(test.case, verdict, reason);
            (outcome.exchanges, outcome.took) = (exchanges, begin.elapsed());
            if stopped() {
                return Err(CannotRun("stopped".to_owned()));
            }
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
            .field("subject", &self.subject)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// One run of the client.
#[derive(Clone)]
pub(crate) struct Run {
    /// Its connections, by their begin.
    pub(crate) visits: Vec<Visit>,
    /// Its connections to the server to which it was referred.
    pub(crate) elsewhere: Vec<Visit>,
    /// How it ended.
    pub(crate) ended: Ended,
    /// Whether a connection was open when the run was over.
    pub(crate) still_open: bool,
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
    crl: NamedTempFile,
}

/// A file for the client.
fn written(text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("starttls-").suffix(".pem").tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

impl<'a> Bench<'a> {
    fn new(test: &'a ClientTest) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let authority = Authority::new(&test.host, test.authority.as_ref())?;
        let ca = written(&authority.pem)?;
        let crl = written(&authority.revocations()?)?;
        Ok(Self { test, authority, ca, crl })
    }

    /// The clean dialogue.
    fn control(&self) -> Result<Run, String> {
        let run = self.play(&Attack::CLEAN, Flaw::None)?;
        if run.visits.iter().any(|visit| visit.is_secured() && !visit.inside.is_empty()) {
            return Ok(run);
        }
        let why = match run.visits.iter().find_map(|visit| visit.handshake.clone()) {
            Some(Err(why)) => format!("the handshake failed: {why}"),
            Some(Ok(())) => "the client sent nothing inside TLS".to_owned(),
            None => "the client did not ask for TLS".to_owned(),
        };
        Err(format!("in a clean dialogue {why}; {}", run.ended))
    }

    /// Lets the client come to a server that attacks.
    pub(crate) fn play(&self, attack: &Attack, flaw: Flaw) -> Result<Run, String> {
        let until = self.test.wait.map_or(Until::Ended, Until::Quiet);
        self.run(attack, flaw, until, self.test.patience, self.test.patience)
    }

    /// The same, until the client gives up: on each connection for at most this time.
    pub(crate) fn play_for(
        &self,
        attack: &Attack,
        flaw: Flaw,
        each: Duration,
    ) -> Result<Run, String> {
        match self.test.wait {
            None => self.run(attack, flaw, Until::Ended, each, each),
            // The client may come late, and may come again.
            Some(quiet) => {
                let whole = self.test.patience + each;
                self.run(attack, flaw, Until::Closed(quiet), whole, each)
            }
        }
    }

    fn run(
        &self,
        attack: &Attack,
        flaw: Flaw,
        until: Until,
        whole: Duration,
        each: Duration,
    ) -> Result<Run, String> {
        if self.test.stop.load(Ordering::SeqCst) {
            return Err("stopped".to_owned());
        }
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let tls = self.authority.server(flaw).map_err(|error| text(&error))?;
        let on = |ip: IpAddr| TcpListener::bind((ip, 0)).map_err(|error| text(&error));
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (here, there) = match &self.test.subject {
            Subject::Command(_) => (on(local)?, on(local)?),
            Subject::Device(listener, address) => {
                (listener.try_clone().map_err(|error| text(&error))?, on(address.ip())?)
            }
        };
        let port = |listener: &TcpListener| {
            listener.local_addr().map(|address| address.port()).map_err(|error| text(&error))
        };
        let secrets = match self.test.login.clone() {
            Some((user, password)) => Secrets { user, password },
            None => Secrets::new().map_err(|error| text(&error))?,
        };
        let values = Values {
            host: &self.test.host,
            port: port(&here)?,
            ca: &self.ca.path().to_string_lossy(),
            crl: &self.crl.path().to_string_lossy(),
            user: &secrets.user,
            password: &secrets.password,
        };
        let mut attack = *attack;
        if attack.setup.refer.is_some() {
            attack.setup.refer = Some(port(&there)?);
        }
        let program = match &self.test.subject {
            Subject::Command(command) => Some(Program::start(command, &values)),
            Subject::Device(..) => None,
        };
        let program =
            program.transpose().map_err(|error| format!("starting the command: {error}"))?;
        let dialect = self.test.dialect;
        let serve = move |number: usize, link: Link| {
            // Only the first server refers to the other one.
            let attack = if number == 0 { attack } else { Attack::CLEAN };
            (number, Host { dialect, attack: &attack, tls: &tls, patience: each }.serve(link))
        };
        let (visits, ended) =
            program::watch(program, vec![here, there], whole, until, &self.test.stop, serve)
                .map_err(|error| text(&error))?;
        let still_open = visits.iter().any(|(_, open)| *open);
        let (visits, elsewhere): (Vec<_>, Vec<_>) =
            visits.into_iter().map(|(visit, _)| visit).partition(|(number, _)| *number == 0);
        let only =
            |visits: Vec<(usize, Visit)>| visits.into_iter().map(|(_, visit)| visit).collect();
        let (visits, elsewhere) = (only(visits), only(elsewhere));
        let run = Run { visits, elsewhere, ended, still_open, secrets };
        match &self.test.subject {
            _ if !run.visits.is_empty() => Ok(run),
            Subject::Command(_) => Err(format!("the command did not connect; {}", run.ended)),
            Subject::Device(_, address) => {
                Err(format!("no device connected to {address} within {} s", whole.as_secs_f32()))
            }
        }
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
