//! Mail to domains instead of servers: the hosts of a domain, and the protection that each of them needs (RFC
//! 5321 §5, RFC 7672, RFC 8461, RFC 8689).
//!
//! A [`Relay`] looks the hosts up with DNSSEC, fetches and caches MTA-STS policies, and sends the mail to the
//! first host that accepts it. [`starttls::mx`] describes what each requirement protects against, and what it
//! does not.
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
//! println!("{} accepted it: {}", delivery.host.name, delivery.protection);
//! # Ok(())
//! # }
//! ```
//!
//! Once a day, send the domains that request it a report of failures (RFC 8460), through a submission server
//! that signs the mail:
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
mod message;
mod outcome;
mod report;
mod route;
mod services;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use cache::Cache;
pub use dns::Dns;
pub use found::Tlsa;
pub use outcome::{Attempt, Delivery, Problem, Protection, Undelivered};
pub use route::{Demand, Destination, Policy, Route};
pub use services::Service;
use starttls::mail::{Envelope, LineEnds};
use starttls::mx::{Domain, Options, Undeliverable};
pub use starttls_tlsrpt as tlsrpt;
use starttls_tlsrpt::Collector;
use tokio::io::AsyncRead;
use tokio::time::{Instant, timeout};

use crate::{ClientTls, Observer, Silent, Timeouts};
use message::{Attended, Message};

/// The maximum number of addresses tried for each host.
const MAX_ADDRESSES: usize = 5;

/// Sends mail to domains. Clones share the DNS resolver, the cache and the collector.
#[derive(Clone, Debug)]
pub struct Relay {
    dns: Dns,
    cache: Cache,
    tls: ClientTls,
    options: Options,
    policy_port: u16,
    domain: Option<String>,
    line_ends: LineEnds,
    timeouts: Timeouts,
    collector: Option<Arc<Mutex<Collector>>>,
}

impl Relay {
    /// A relay that uses `dns` and applies DANE and MTA-STS.
    ///
    /// `tls` provides the trusted authorities, for hosts verified by them and for policy hosts.
    #[must_use]
    pub fn new(dns: Dns, tls: ClientTls) -> Self {
        Self {
            dns,
            cache: Cache::default(),
            tls,
            options: Options::default(),
            policy_port: 443,
            domain: None,
            line_ends: LineEnds::Normalize,
            timeouts: Timeouts::default(),
            collector: None,
        }
    }

    /// Sets the cache of MTA-STS policies. The default keeps them in memory.
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// Sets the DNS resolver.
    #[must_use]
    pub fn with_dns(mut self, dns: Dns) -> Self {
        self.dns = dns;
        self
    }

    /// The DNS resolver.
    #[must_use]
    pub const fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Sets the trusted authorities.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the options.
    ///
    /// For a mail with `TLS-Required: No`, use a clone with [`tls_optional`](Options::tls_optional). An
    /// envelope with [`with_required_tls`](Envelope::with_required_tls) acts as if
    /// [`require_tls`](Options::require_tls) were set.
    #[must_use]
    pub const fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The options.
    #[must_use]
    pub const fn options(&self) -> Options {
        self.options
    }

    /// Sets the TCP port of policy hosts, instead of 443.
    #[must_use]
    pub const fn with_policy_port(mut self, port: u16) -> Self {
        self.policy_port = port;
        self
    }

    /// Sets the name by which the client introduces itself. Many hosts look it up.
    ///
    /// The default is the address of the client's end of the connection.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets what happens to a lone CR or LF in messages. By default it becomes CRLF.
    #[must_use]
    pub const fn with_line_ends(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Sets the timeouts of each connection. All lookups of a mail share one total time.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets the collector, which counts sessions for reports to their domains (RFC 8460). Send the reports
    /// themselves by a clone without a collector.
    #[must_use]
    pub fn with_collector(mut self, collector: Option<Arc<Mutex<Collector>>>) -> Self {
        self.collector = collector;
        self
    }

    /// The hosts of a domain in the order of preference, with the requirements for each.
    #[must_use]
    pub fn route(&self, domain: &Domain) -> Route<'_> {
        Route::new(self, *domain, self.options)
    }

    /// Sends one mail to a domain: that of its recipients, or of a smart host.
    ///
    /// At most sixteen hosts are tried in the order of preference, and five addresses of each. The attempts
    /// end when a host accepts the mail, refuses it permanently, or fails after it has received a part of the
    /// mail.
    ///
    /// If the future is dropped, the connection closes, and the fate of the mail is unknown: it may be
    /// delivered if its end was sent. No server accepts a mail without its end.
    ///
    /// # Errors
    /// [`Undelivered`] has the attempts, and tells whether a retry is useful.
    pub async fn send(
        &self,
        domain: &Domain,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
    ) -> Result<Delivery, Undelivered> {
        self.send_observed(domain, envelope, message, &mut Silent).await
    }

    /// Like [`send`](Self::send), with an observer.
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
        self.deliver(domain, envelope, Message::Once(Attended::new(message)), observer).await
    }

    /// Like [`send_observed`](Self::send_observed), to all recipients in as many transactions as needed, see
    /// [`Connection::send_to_all`](crate::Connection::send_to_all).
    ///
    /// `message` returns the message for each transaction, and for a further host after a temporary refusal.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_to_all_observed<M: AsyncRead + Unpin>(
        &self,
        domain: &Domain,
        envelope: &Envelope<'_>,
        mut message: impl FnMut() -> M + Send,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Delivery, Undelivered> {
        self.deliver(domain, envelope, Message::Anew(&mut message), observer).await
    }

    async fn deliver(
        &self,
        domain: &Domain,
        envelope: &Envelope<'_>,
        mut message: Message<'_, impl AsyncRead + Unpin>,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Delivery, Undelivered> {
        let mut options = self.options;
        options = options.with_require_tls(options.require_tls() || envelope.requires_tls());
        let mut route = Route::new(self, *domain, options);
        let mut outcome = Undelivered::new(*domain, options.require_tls());
        let mut reported = false;
        let mut left = self.timeouts.total();
        loop {
            let host = match within(&mut left, route.next()).await {
                Some(Ok(Some(host))) => host,
                Some(Ok(None)) => return Err(outcome),
                Some(Err(why)) => return Err(outcome.because(why)),
                None => return Err(outcome.because(Undeliverable::LookupFailed)),
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
                    outcome::Next::Nowhere => return Err(outcome),
                    _ if message.is_spent() => return Err(outcome.spent()),
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

/// The output of a future, or `None` if the remaining time elapses. The time it takes is subtracted.
async fn within<T>(left: &mut Option<Duration>, act: impl Future<Output = T>) -> Option<T> {
    let Some(left) = left else { return Some(act.await) };
    let start = Instant::now();
    let done = timeout(*left, act).await;
    *left = left.saturating_sub(start.elapsed());
    done.ok()
}
