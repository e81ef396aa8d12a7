//! `starttls send --mx`: to the hosts of domains.

use std::collections::BTreeMap;
use std::path::Path;

use starttls::mail::session::Fate;
use starttls::mx::{self, Domain, Options, Skip, Undeliverable};
use starttls_std::{Error, Timeouts};
use starttls_tokio::mx::{Attempt, Cache, Delivery, Dns, Problem, Relay, Undelivered};

use crate::advice::advice as advice_on;
use crate::args::{Dane, Lookup, Resolver, Send};
use crate::dial::authorities;
use crate::ladder::Ladder;
use crate::letter::Letter;
use crate::literal;
use crate::out::{out, tell};
use crate::outcome::{self, Failure};
use crate::picture::Tone;
use crate::report::{Report, Reports, Tried, Way, unsent};
use crate::send::{WAITS, accepted, envelope, message, parse, sender, verdicts};
use crate::service::runtime;
use crate::stop::Stop;
use crate::values::domain as domain_of;

impl Resolver {
    /// The resolver, with the given server or the system's; use it on a runtime.
    pub(crate) fn open(&self) -> Result<Dns, Error> {
        match self.resolver {
            Some(server) => {
                Dns::at(server, self.trust_anchor.as_deref()).map_err(|error| match error {
                    // The error names the file.
                    Error::Argument { what: "the trust anchor", why } => Error::Argument {
                        what: "--trust-anchor",
                        why: format!("{why}. Pass a file of DNSKEY records, as in a zone."),
                    },
                    other => other,
                })
            }
            None => Dns::system(),
        }
    }
}

impl Lookup {
    /// Whether any lookup option is given.
    pub(crate) const fn is_given(&self) -> bool {
        self.dns.resolver.is_some()
            || self.cache.is_some()
            || self.dane.is_some()
            || self.no_sts
            || self.require_tls
    }

    /// A sender with these lookup options; create it on a runtime.
    pub(crate) fn relay(&self, ca: Option<&Path>) -> Result<Relay, Failure> {
        let mut relay = Relay::new(self.dns.open()?, authorities(ca)?.inspecting());
        if let Some(directory) = &self.cache {
            // A mail matters more than a cached policy.
            let unkept = |error| {
                tell!("policies are not cached: --cache {}: {error}", directory.display());
            };
            match Cache::directory(directory) {
                Ok(cache) => {
                    let _ = tempfile::tempfile_in(directory).map_err(unkept);
                    relay = relay.with_cache(cache);
                }
                Err(error) => unkept(error),
            }
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

pub(crate) fn run(args: &Send, reports: &mut Reports) -> Result<(), Failure> {
    let places = by_place(&args.to)?;
    let message = message(args, &args.to)?;
    let runtime = runtime()?;
    let _context = runtime.enter();
    let relay = args.lookup.relay(args.account.peer.ca.as_deref())?;
    let options = relay.options().with_tls_optional(mx::tls_optional(message.message.head()));
    let relay =
        relay.with_options(options).with_timeouts(Timeouts::new().with_total(args.account.timeout));
    let relay = match args.account.own_name() {
        Some(name) => relay.with_domain(name),
        None => relay,
    };
    let mut ladder = Ladder::new(!args.json, "");
    let names: Vec<_> = places.iter().map(|(place, _)| place.as_str()).collect();
    ladder.title(&format!("mail to {}", names.join(", ")));
    let mut outcome = Ok(());
    let mut all = Vec::new();
    let stop = Stop::listen_apart(WAITS)?;
    for (place, to) in places {
        if stop.is_asked() {
            let message = format!("stopped by a signal; nothing was sent to {}", place.as_str());
            let failure = Failure { message, code: outcome::STOPPED };
            let mail = args.file.as_deref().and_then(Path::to_str);
            reports.print(&Report::given_up(mail, (sender(args), &to), &failure));
            all.push((failure.message.clone(), Tone::Bad));
            outcome = outcome.and(Err(failure));
            continue;
        }
        let (verdicts, end) = match &place {
            Place::Address(host) => {
                let port = relay.options().port();
                let sent = host.send(args, port, &to, &message, &mut ladder)?;
                let mail = args.file.as_deref().and_then(Path::to_str);
                reports.print(&sent.report(mail, host, (sender(args), &to)));
                (sent.verdicts(host, &to), sent.end(&to))
            }
            Place::Domain(domain) => {
                let sent =
                    runtime.block_on(send(args, &relay, domain, &to, &message, &mut ladder))?;
                reports.print(&report(args, domain, &to, &sent, ladder.introducing));
                let end = match &sent {
                    Ok(delivery) => accepted(&delivery.receipt, &to),
                    Err(undelivered) => Err(failure(undelivered, ladder.introducing)),
                };
                (tell(&sent, &to), end)
            }
        };
        if !args.json {
            for (verdict, _) in &verdicts {
                out!("  {verdict}");
            }
        }
        all.extend(verdicts);
        // The command reports the first failure at its end.
        outcome = outcome.and(end);
    }
    let saved = ladder.save(args.ladder_svg.as_deref(), all);
    outcome.and(saved)
}

/// The place of a mailbox.
enum Place {
    Domain(Box<Domain>),
    Address(literal::Host),
}

impl Place {
    fn of(domain: &str) -> Result<Self, String> {
        match literal::read(domain) {
            Some(host) => host.map(Self::Address),
            None => domain_of(domain).map(Box::new).map(Self::Domain),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Domain(domain) => domain.as_str(),
            Self::Address(host) => &host.text,
        }
    }
}

/// The recipients of each place, ordered by name.
fn by_place(to: &[String]) -> Result<Vec<(Place, Vec<String>)>, Failure> {
    let mut places: BTreeMap<String, (Place, Vec<String>)> = BTreeMap::new();
    for to in to {
        let domain = to.rsplit_once('@').map_or("", |(_, domain)| domain);
        let place = Place::of(domain).map_err(|why| Failure::local(format!("<{to}>: {why}")))?;
        let (_, recipients) =
            places.entry(place.as_str().to_owned()).or_insert((place, Vec::new()));
        recipients.push(to.clone());
    }
    Ok(places.into_values().collect())
}

async fn send(
    args: &Send,
    relay: &Relay,
    domain: &Domain,
    to: &[String],
    letter: &Letter,
    ladder: &mut Ladder,
) -> Result<Result<Delivery, Undelivered>, Failure> {
    let (from, to) = parse(sender(args), to)?;
    let mut envelope = envelope(from, &to, letter)?;
    if args.lookup.require_tls {
        envelope = envelope.with_required_tls();
    }
    let message = || letter.message.reader();
    let outcome = relay.send_to_all_observed(domain, &envelope, message, ladder).await;
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
            let when = match (undelivered.fate(), undelivered.is_temporary()) {
                (Fate::Unknown, _) => "it may arrive twice if sent again",
                (Fate::Accepted, _) => "do not send it again",
                (_, true) => "try again later",
                (_, false) => "do not retry",
            };
            let verdict = unsent(undelivered.fate());
            told.push((format!("{verdict} to {}, {when}", undelivered.domain), Tone::Bad));
            told
        }
    }
}

/// The advice if there is no host for mail.
pub(crate) const fn advice(why: Undeliverable) -> &'static str {
    match why {
        Undeliverable::LookupFailed => {
            "Try again later, or ask another DNS server with --resolver: it must pass on signatures."
        }
        Undeliverable::Insecure => "Use another --dane, or try again later.",
        _ => "This is permanent; do not retry.",
    }
}

fn failure(undelivered: &Undelivered, introducing: bool) -> Failure {
    let last = undelivered.attempts.last().map(|attempt| &attempt.problem);
    if let (None, Some(Problem::Failed(error)), false) =
        (undelivered.why, last, undelivered.fate().is_safe_to_retry())
    {
        let message = format!("{undelivered}. {}", advice_on(error));
        return Failure { message, code: outcome::code(error) };
    }
    let when = match undelivered.why {
        None if matches!(last, Some(Problem::Failed(error)) if outcome::is_of_name(error, introducing)) => {
            outcome::NAME_ANOTHER
        }
        Some(why) => advice(why),
        None if undelivered.is_temporary() => "Try again later.",
        None => "This is permanent; do not retry.",
    };
    let code = match last {
        _ if undelivered.why == Some(Undeliverable::LookupFailed) => outcome::TEMPORARY,
        Some(Problem::Failed(error)) => outcome::code(error),
        Some(Problem::Skipped(Skip::LookupFailed)) => outcome::TEMPORARY,
        _ => 7,
    };
    Failure { message: format!("{undelivered}. {when}"), code }
}

/// The output of `--json` for a domain.
fn report<'a>(
    args: &'a Send,
    domain: &'a Domain,
    to: &'a [String],
    sent: &'a Result<Delivery, Undelivered>,
    introducing: bool,
) -> Report<'a> {
    let (delivery, undelivered) = (sent.as_ref().ok(), sent.as_ref().err());
    let attempts = match sent {
        Ok(delivery) => &delivery.attempts,
        Err(undelivered) => &undelivered.attempts,
    };
    let tried = attempts.iter().map(|attempt| Tried {
        host: attempt.host.name.as_str(),
        address: attempt.address,
        problem: attempt.problem.to_string(),
    });
    let way = Way::Domain {
        domain: domain.as_str(),
        delivered: delivery.is_some(),
        host: delivery.map(|delivery| delivery.host.name.as_str()),
        address: delivery.map(|delivery| delivery.address),
        protection: delivery.map(|delivery| delivery.protection.to_string()),
        attempts: tried.collect(),
        temporary: undelivered.is_some_and(Undelivered::is_temporary),
    };
    let (mail, envelope) = (args.file.as_deref().and_then(Path::to_str), (sender(args), to));
    let report = match (sent, attempts.last().map(|attempt| &attempt.problem)) {
        (Ok(delivery), _) => Report::new(mail, envelope, Ok(&delivery.receipt)),
        (Err(undelivered), Some(Problem::Failed(error))) => {
            let report = Report::new(mail, envelope, Err(error));
            report.with_failure(undelivered.fate(), &failure(undelivered, introducing))
        }
        (Err(undelivered), _) => {
            Report::given_up(mail, envelope, &failure(undelivered, introducing))
        }
    };
    report.with_way(way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_by_place() {
        let to = ["a@b.example", "c@[192.0.2.1]", "d@B.example", "e@[IPv6:::1]"].map(str::to_owned);
        let places = by_place(&to).expect("places");
        let found: Vec<_> = places.iter().map(|(place, to)| (place.as_str(), to.len())).collect();
        assert_eq!(found, [("[192.0.2.1]", 1), ("[IPv6:::1]", 1), ("b.example", 2)]);
    }
}
