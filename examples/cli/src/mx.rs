//! `starttls send --mx`: to the hosts of domains.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use starttls::mx::{self, Domain, Options, Undeliverable};
use starttls_std::Timeouts;
use starttls_tokio::mx::{Attempt, Cache, Delivery, Dns, Problem, Relay, Undelivered};

use crate::args::{self, Dane, Lookup, Send};
use crate::dial::trust;
use crate::ladder::Ladder;
use crate::out::out;
use crate::outcome::{self, Failure};
use crate::picture::Tone;
use crate::send::{accepted, envelope, message, parse, sender, verdicts};
use crate::serve::runtime;

impl Lookup {
    /// Whether anything is to be done otherwise than usual.
    pub(crate) const fn is_given(&self) -> bool {
        self.resolver.is_some()
            || self.cache.is_some()
            || self.dane.is_some()
            || self.no_sts
            || self.require_tls
    }

    /// A sender that looks up as it is told; to be made on a runtime.
    pub(crate) fn relay(&self, ca: Option<&Path>) -> Result<Relay, Failure> {
        let dns = match self.resolver {
            Some(server) => Dns::at(server, self.trust_anchor.as_deref())?,
            None => Dns::system()?,
        };
        let mut relay = Relay::new(dns, trust(ca)?.inspecting());
        if let Some(directory) = &self.cache {
            relay = relay
                .with_cache(Cache::directory(directory).map_err(|error| {
                    Failure::local(format!("{}: {error}", directory.display()))
                })?);
        }
        let options = Options::default()
            .with_dane(match self.dane {
                Some(Dane::Off) => mx::Dane::Off,
                None | Some(Dane::Opportunistic) => mx::Dane::Opportunistic,
                Some(Dane::SecureHosts) => mx::Dane::SecureHosts,
                Some(Dane::Mandatory) => mx::Dane::Mandatory,
            })
            .with_sts(!self.no_sts)
            .with_require_tls(self.require_tls);
        Ok(relay.with_options(options))
    }
}

pub(crate) fn run(args: &Send) -> Result<(), Failure> {
    let domains = by_domain(&args.to)?;
    let message = message(args, &args.to)?;
    let runtime = runtime()?;
    let _context = runtime.enter();
    let relay = args.lookup.relay(args.ca.as_deref())?;
    let options = relay.options().with_tls_optional(mx::tls_optional(&message));
    let relay = relay
        .with_options(options)
        .with_domain(&args.helo)
        .with_timeouts(Timeouts::new().with_total(args.timeout));
    let mut ladder = Ladder::new(!args.json, "");
    let names: Vec<_> = domains.iter().map(|(domain, _)| domain.as_str()).collect();
    ladder.title(&format!("mail to {}", names.join(", ")));
    let mut outcome = Ok(());
    let mut all = Vec::new();
    for (domain, to) in domains {
        let sent = runtime.block_on(send(args, &relay, domain, &to, &message, &mut ladder))?;
        if args.json {
            print(domain, &to, &sent);
        }
        let verdicts = tell(&sent, &to);
        if !args.json {
            for (verdict, _) in &verdicts {
                out!("  {verdict}");
            }
        }
        all.extend(verdicts);
        // What went wrong first is what the command says at its end.
        outcome = outcome.and(match sent {
            Ok(delivery) => accepted(&delivery.receipt, &to),
            Err(undelivered) => Err(failure(&undelivered)),
        });
    }
    let saved = ladder.save(args.ladder_svg.as_deref(), all);
    outcome.and(saved)
}

/// The recipients of each domain, in the order of their names.
fn by_domain(to: &[String]) -> Result<Vec<(Domain, Vec<String>)>, Failure> {
    let mut domains: BTreeMap<String, (Domain, Vec<String>)> = BTreeMap::new();
    for to in to {
        let domain = to.rsplit_once('@').map_or("", |(_, domain)| domain);
        let domain =
            args::domain(domain).map_err(|why| Failure::local(format!("<{to}>: {why}")))?;
        let (_, recipients) =
            domains.entry(domain.as_str().to_owned()).or_insert((domain, Vec::new()));
        recipients.push(to.clone());
    }
    Ok(domains.into_values().collect())
}

async fn send(
    args: &Send,
    relay: &Relay,
    domain: Domain,
    to: &[String],
    message: &[u8],
    ladder: &mut Ladder,
) -> Result<Result<Delivery, Undelivered>, Failure> {
    let (from, to) = parse(sender(args), to)?;
    let mut envelope = envelope(from, &to, message)?;
    if args.lookup.require_tls {
        envelope = envelope.with_required_tls();
    }
    let outcome = relay.send_observed(&domain, &envelope, message, ladder).await;
    ladder.close();
    Ok(outcome)
}

fn tell(sent: &Result<Delivery, Undelivered>, to: &[String]) -> Vec<(String, Tone)> {
    let not = |attempt: &Attempt| (format!("not to {attempt}"), Tone::Bad);
    match sent {
        Ok(delivery) => {
            let way =
                format!("{} at {}: {}", delivery.host.name, delivery.address, delivery.protection);
            let mut told: Vec<_> = delivery.attempts.iter().map(not).collect();
            told.push((way, Tone::Neutral));
            told.extend(verdicts(&delivery.receipt, to));
            told
        }
        Err(undelivered) => {
            let mut told: Vec<_> = undelivered.attempts.iter().map(not).collect();
            let when = if undelivered.is_temporary() { "try again later" } else { "for good" };
            told.push((format!("NOT sent to {}, {when}", undelivered.domain), Tone::Bad));
            told
        }
    }
}

/// What to do where there is no host to send mail to.
pub(crate) const fn advice(why: Undeliverable) -> &'static str {
    match why {
        Undeliverable::LookupFailed => {
            "Try again later, or ask another DNS server with --resolver: it has to pass signatures on."
        }
        Undeliverable::Insecure => "Send it with another --dane, or try again later.",
        _ => "This is permanent; do not retry.",
    }
}

fn failure(undelivered: &Undelivered) -> Failure {
    let when = match undelivered.why {
        Some(why) => advice(why),
        None if undelivered.is_temporary() => "Try again later.",
        None => "This is permanent; do not retry.",
    };
    let code = match undelivered.attempts.last().map(|attempt| &attempt.problem) {
        Some(Problem::Failed(error)) => outcome::code(error),
        _ => 7,
    };
    Failure { message: format!("{undelivered}. {when}"), code }
}

/// What `--json` prints for each domain.
#[derive(Debug, Serialize)]
struct Report<'a> {
    domain: &'a str,
    delivered: bool,
    host: Option<&'a str>,
    address: Option<SocketAddr>,
    protection: Option<String>,
    recipients: Vec<Recipient<'a>>,
    attempts: Vec<Tried<'a>>,
    error: Option<String>,
    temporary: bool,
}

#[derive(Debug, Serialize)]
struct Recipient<'a> {
    address: &'a str,
    accepted: bool,
    answer: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tried<'a> {
    host: &'a str,
    address: Option<SocketAddr>,
    problem: String,
}

fn print(domain: Domain, to: &[String], sent: &Result<Delivery, Undelivered>) {
    let (delivery, undelivered) = (sent.as_ref().ok(), sent.as_ref().err());
    let attempts = match sent {
        Ok(delivery) => &delivery.attempts,
        Err(undelivered) => &undelivered.attempts,
    };
    let answer = |index| delivery.and_then(|delivery| delivery.receipt.recipients.get(index));
    let recipients = to.iter().enumerate().map(|(index, to)| Recipient {
        address: to,
        accepted: answer(index).is_some_and(starttls_std::Answer::is_yes),
        answer: answer(index).map(ToString::to_string),
    });
    let tried = attempts.iter().map(|attempt| Tried {
        host: attempt.host.name.as_str(),
        address: attempt.address,
        problem: attempt.problem.to_string(),
    });
    let report = Report {
        domain: domain.as_str(),
        delivered: delivery.is_some(),
        host: delivery.map(|delivery| delivery.host.name.as_str()),
        address: delivery.map(|delivery| delivery.address),
        protection: delivery.map(|delivery| delivery.protection.to_string()),
        recipients: recipients.collect(),
        attempts: tried.collect(),
        error: undelivered.map(ToString::to_string),
        temporary: undelivered.is_some_and(Undelivered::is_temporary),
    };
    outcome::print(&report);
}
