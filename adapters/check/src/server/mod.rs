//! Tests of a server, by a client of ours.

mod bench;
mod capabilities;
mod catalogue;
mod injection;
mod limits;
mod logins;
mod requests;
mod smuggling;
mod state;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use starttls::Protocol;

use crate::dialect::{Dialect, known};
use crate::judge::Seen;
use crate::report::{Case, Level, Outcome, Report, Role, Verdict};
use bench::Bench;
pub(crate) use bench::Trouble;

/// A server to be tested, and what the tests may do.
///
/// The tests send no mail and log in nowhere, and keep one connection at a time. They read what the server says, and ask
/// for TLS in ways that only a faulty server survives. Test only servers of your own.
#[derive(Clone)]
pub struct ServerTest {
    dialect: &'static dyn Dialect,
    address: SocketAddr,
    name: ServerName<'static>,
    /// The name as text.
    domain: String,
    verifying: Option<Arc<ClientConfig>>,
    implicit: Option<SocketAddr>,
    mailbox: Option<String>,
    patience: Duration,
    deadline: Option<Duration>,
    command_deadline: Option<Duration>,
    failing_logins: bool,
    pause: Duration,
    local_is_remote: bool,
}

impl ServerTest {
    /// A server of this protocol at this address, whose certificate has this name.
    ///
    /// # Errors
    /// There are no tests for the protocol: it is none of [`Protocol::ALL`].
    pub fn new(
        protocol: Protocol,
        address: SocketAddr,
        name: ServerName<'static>,
    ) -> Result<Self, CannotRun> {
        Ok(Self {
            dialect: known(&protocol)?,
            address,
            domain: name.to_str().into_owned(),
            name,
            verifying: None,
            implicit: None,
            mailbox: None,
            patience: Duration::from_secs(10),
            deadline: None,
            command_deadline: None,
            failing_logins: false,
            pause: Duration::from_millis(50),
            local_is_remote: false,
        })
    }

    /// Verifies the certificate with this configuration in the case `tls/certificate`. Without it that case is skipped.
    #[must_use]
    pub fn with_verification(self, config: Arc<ClientConfig>) -> Self {
        Self { verifying: Some(config), ..self }
    }

    /// Compares with the server for implicit TLS at this address, in the case `tls/other-port`.
    #[must_use]
    pub fn with_implicit(self, address: SocketAddr) -> Self {
        Self { implicit: Some(address), ..self }
    }

    /// Sends mails to this mailbox, which has to be the tester's own: some 10 that are not to be delivered as what they
    /// contain. Without it no mail is sent and the cases `smuggling/…` are skipped.
    #[must_use]
    pub fn with_mailbox(self, address: impl Into<String>) -> Self {
        Self { mailbox: Some(address.into()), ..self }
    }

    /// The time for each answer. Default: 10 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The time after which a server must not wait for a ClientHello any more. Without it the case
    /// `limit/silence-after-the-go-ahead` waits as long as for an answer, and then decides nothing, and `limit/slow-hello` is
    /// skipped.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The time after which a server must not wait for the rest of a command any more. Without it the case
    /// `limit/slow-command` is skipped.
    #[must_use]
    pub fn with_command_deadline(self, deadline: Duration) -> Self {
        Self { command_deadline: Some(deadline), ..self }
    }

    /// Logs in with a made-up name, which fails, where only that shows whether the server keeps a name from before TLS.
    /// Some servers block clients after some such logins.
    #[must_use]
    pub fn with_failing_logins(self) -> Self {
        Self { failing_logins: true, ..self }
    }

    /// The pause before each connection. Default: 50 ms.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Runs the cases about logins in plaintext even if the server is on this machine. They are skipped there, because
    /// many servers take a connection from the same machine as secure.
    #[must_use]
    pub fn with_local_as_remote(self) -> Self {
        Self { local_is_remote: true, ..self }
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
    /// The server cannot be reached, or does not speak the protocol: nothing was tested.
    pub fn run(
        &self,
        chosen: impl Fn(&Case) -> bool,
        progress: &mut dyn FnMut(&Outcome),
    ) -> Result<Report, CannotRun> {
        let bench = Bench::new(self);
        let offers = bench.control_dialogue().map_err(|trouble| CannotRun(trouble.to_string()))?;
        let mut report =
            Report::new(Role::Server, self.dialect.protocol().name, self.address.to_string());
        // The clean upgrade, whether its case is chosen or not: without it the other cases show nothing.
        let works = if offers {
            drop(bench.take_exchanges());
            let works =
                requests::works(&bench).unwrap_or_else(|why| Seen::Unclear(why.to_string()));
            works.verdict(Level::Must)
        } else {
            (Verdict::Skipped, "the server does not offer TLS".to_owned())
        };
        report.control = bench.take_exchanges();
        report.control_passed = works.0 == Verdict::Pass;
        let mut blocked = (!report.control_passed).then(|| match works.0 {
            Verdict::Skipped => works.1.clone(),
            _ => "the upgrade does not work".to_owned(),
        });
        for test in catalogue::of(self.dialect).filter(|test| chosen(&test.case)) {
            let begin = Instant::now();
            let ((verdict, reason), exchanges) = if test.case.id == catalogue::WORKS {
                (works.clone(), report.control.clone())
            } else if let Some(why) = &blocked {
                ((Verdict::Skipped, why.clone()), Vec::new())
            } else {
                bench.judge(&test)
            };
            if bench.is_unwelcome() {
                blocked = Some("the server closed its service to us (421)".to_owned());
            }
            let mut outcome = Outcome::new(test.case, verdict, reason);
            (outcome.exchanges, outcome.took) = (exchanges, begin.elapsed());
            progress(&outcome);
            report.outcomes.push(outcome);
        }
        Ok(report)
    }
}

impl std::fmt::Debug for ServerTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = self.dialect.protocol().name;
        f.debug_struct("ServerTest")
            .field("protocol", &protocol)
            .field("address", &self.address)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A test could not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotRun(pub(crate) String);

impl std::fmt::Display for CannotRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotRun {}
