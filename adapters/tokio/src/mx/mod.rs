//! Mail to domains instead of servers: which hosts take it, and what has to be true of them before they get
//! it (RFC 5321 §5, RFC 7672, RFC 8461, RFC 8689).
//!
//! A [`Relay`] looks it up with DNSSEC, fetches and keeps MTA-STS policies, and sends the mail to the first
//! host that takes it. What each requirement protects against, and what it does not, is said at
//! [`starttls::mx`].
//!
//! ```no_run
//! use starttls::mx::Domain;
//! use starttls::mail::{Address, Envelope};
//! use starttls_tokio::ClientTls;
//! use starttls_tokio::mx::{Cache, Dns, Relay};
//!
//! # async fn send(tls: ClientTls) -> Result<(), Box<dyn std::error::Error>> {
//! let relay = Relay::new(Dns::system()?, tls) // ClientTls::system(), for example
//!     .with_domain("mail.example.com")
//!     .with_cache(Cache::directory("/var/lib/relay/policies")?);
//! let to = [Address::new("you@example.org")?];
//! let envelope = Envelope::new(Some(Address::new("me@example.com")?), &to)?;
//! let message = &b"Subject: 21.5 C\r\n\r\nAll is well.\r\n"[..];
//! let delivery = relay.send(&Domain::new("example.org")?, &envelope, message).await?;
//! println!("{} took it: {}", delivery.host.name, delivery.protection);
//! # Ok(())
//! # }
//! ```
//!
//! Once a day domains that ask for it are told what went wrong (RFC 8460), by mail that a submission server
//! signs:
//!
//! ```no_run
//! use std::sync::{Arc, Mutex};
//!
//! use starttls::mail::{Address, Envelope};
//! use starttls::mx::Domain;
//! use starttls_tokio::Mailer;
//! use starttls_tokio::mx::Relay;
//! use starttls_tokio::mx::tlsrpt::{Collector, Sender};
//!
//! # async fn report(relay: Relay, mailer: &Mailer, yesterday: u64) -> Result<(), Box<dyn std::error::Error>> {
//! let collector = Arc::new(Mutex::new(Collector::default()));
//! let relay = relay.with_collector(Some(Arc::clone(&collector)));
//! // ... a day later
//! let today = yesterday + 86_400;
//! let sender = Sender::new("Example", "tls@example.com");
//! let reports = collector.lock().unwrap().reports(&sender, yesterday, today);
//! for report in reports {
//!     let domain = Domain::new(report.domain())?;
//!     let Some(recipients) = relay.dns().report_recipients(&domain).await else { continue };
//!     for address in recipients.addresses() {
//!         let mail = report.mail(&sender, &address, today)?;
//!         let to = [Address::new(&address)?];
//!         let envelope = Envelope::new(Some(Address::new(&sender.contact)?), &to)?;
//!         mailer.send(&envelope, &mail[..]).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod attempt;
mod cache;
mod dns;
mod fetch;
mod found;
mod outcome;
mod report;
mod route;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

pub use cache::Cache;
pub use dns::Dns;
pub use found::Tlsa;
pub use outcome::{Attempt, Delivery, Problem, Protection, Undelivered};
pub use route::{Demand, Destination, Policy, Route};
use starttls::mail::{Envelope, LineEnds};
use starttls::mx::{Domain, Options};
use starttls::smtp;
pub use starttls_tlsrpt as tlsrpt;
use starttls_tlsrpt::Collector;
use tokio::io::AsyncRead;

use crate::{ClientTls, Observer, Silent, Timeouts};
use attempt::Attended;

/// How many addresses of a host are tried.
const MAX_ADDRESSES: usize = 5;

/// A sender of mail to domains. Clones share its DNS, cache and collector.
#[derive(Clone, Debug)]
pub struct Relay {
    dns: Dns,
    cache: Cache,
    tls: ClientTls,
    options: Options,
    policy_port: u16,
    domain: String,
    line_ends: LineEnds,
    timeouts: Timeouts,
    collector: Option<Arc<Mutex<Collector>>>,
}

impl Relay {
    /// A sender that looks up by `dns`, and goes by all that a domain can say of its hosts. `tls` says which
    /// authorities it trusts where they vouch for a host, and for the hosts of policies.
    #[must_use]
    pub fn new(dns: Dns, tls: ClientTls) -> Self {
        Self {
            dns,
            cache: Cache::default(),
            tls,
            options: Options::default(),
            policy_port: 443,
            domain: smtp::Domain::LOCALHOST.as_str().to_owned(),
            line_ends: LineEnds::Normalize,
            timeouts: Timeouts::default(),
            collector: None,
        }
    }

    /// Where it keeps MTA-STS policies; by default in memory.
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// Where it looks up.
    #[must_use]
    pub fn with_dns(mut self, dns: Dns) -> Self {
        self.dns = dns;
        self
    }

    /// Where it looks up.
    #[must_use]
    pub const fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Which authorities it trusts.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// What it goes by. A mail that says `TLS-Required: No` is sent by a clone with
    /// [`tls_optional`](Options::tls_optional), and one whose envelope has
    /// [`with_required_tls`](Envelope::with_required_tls) as if
    /// [`require_tls`](Options::require_tls) were set.
    #[must_use]
    pub const fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// What it goes by.
    #[must_use]
    pub const fn options(&self) -> Options {
        self.options
    }

    /// The TCP port of the hosts of policies, in the place of 443.
    #[must_use]
    pub const fn with_policy_port(mut self, port: u16) -> Self {
        self.policy_port = port;
        self
    }

    /// How the client introduces itself.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// What to do with lone CR or LF in messages. By default they become CRLF.
    #[must_use]
    pub const fn with_line_ends(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// How long to wait, each connection on its own.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Where sessions are counted for reports to their domains (RFC 8460). Reports themselves are sent by a
    /// clone without.
    #[must_use]
    pub fn with_collector(mut self, collector: Option<Arc<Mutex<Collector>>>) -> Self {
        self.collector = collector;
        self
    }

    /// The hosts of a domain in the order in which they are tried, and what it takes to send mail there.
    #[must_use]
    pub fn route(&self, domain: &Domain) -> Route<'_> {
        Route::new(self, *domain, self.options)
    }

    /// Sends one mail to a domain: that of its recipients, or of a smart host. The hosts are tried in the
    /// order of their preference, at most sixteen of them, and five addresses of each, until one of them takes
    /// the mail, refuses it for good, or fails after it was given a part of it.
    ///
    /// Dropped before it is done, it closes the connection, and what became of the mail cannot be known: it
    /// may be delivered if all of it was sent. Without its end no server takes it.
    ///
    /// # Errors
    /// [`Undelivered`] tells what was tried, and whether it makes sense to try again later.
    pub async fn send(
        &self,
        domain: &Domain,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
    ) -> Result<Delivery, Undelivered> {
        self.send_observed(domain, envelope, message, &mut Silent).await
    }

    /// Like [`send`](Self::send), under observation.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_observed(
        &self,
        domain: &Domain,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Delivery, Undelivered> {
        let mut options = self.options;
        options = options.with_require_tls(options.require_tls() || envelope.requires_tls());
        let mut route = Route::new(self, *domain, options);
        let mut outcome = Undelivered::new(*domain, options.require_tls());
        let mut message = Attended::new(message);
        let mut reported = false;
        loop {
            let host = match route.next().await {
                Ok(Some(host)) => host,
                Ok(None) => return Err(outcome),
                Err(why) => return Err(outcome.because(why)),
            };
            if let Some((result, reason)) = route.policy_failure().filter(|_| !reported) {
                reported = true;
                self.collect(|collector| report::policy(collector, domain, result, reason));
            }
            if let Demand::Skip(why) = host.demand {
                self.collect(|collector| report::skipped(collector, &host, why));
                outcome.attempts.push(Attempt::skipped(host, why));
                continue;
            }
            for address in host.addresses.iter().take(MAX_ADDRESSES) {
                let address = SocketAddr::new(*address, options.port());
                let tried = self.attempt(&host, address, envelope, &mut message, observer).await;
                self.collect(|collector| report::session(collector, &host, &tried));
                let error = match tried.outcome {
                    Ok((receipt, protection)) => {
                        let attempts = outcome.attempts;
                        return Ok(Delivery { receipt, host, address, protection, attempts });
                    }
                    Err(error) => error,
                };
                let next = outcome::goes_on(&error);
                outcome.attempts.push(Attempt::failed(host.clone(), address, error));
                match next {
                    // It cannot be read again.
                    _ if message.is_begun() => return Err(outcome),
                    outcome::Next::Nowhere => return Err(outcome),
                    outcome::Next::Host => break,
                    outcome::Next::Address => {}
                }
            }
        }
    }

    fn collect(&self, tell: impl FnOnce(&mut Collector)) {
        if let Some(collector) = &self.collector {
            tell(&mut collector.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
