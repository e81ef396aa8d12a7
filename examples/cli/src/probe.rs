//! `starttls probe`.

use std::ops::ControlFlow;
use std::time::Duration;

use starttls::lmtp::Lmtp;
use starttls::mail::Session;
use starttls::mail::session::Event;
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Error as Rule, Introduction, Policy, Roles, Tls};
use starttls_tokio::{ClientStream, Driver, Error, Mode, TcpOrUnix, Timeouts, address_literal};
use tokio::time::timeout;

use crate::args::Probe;
use crate::dial::{NAME, client, dial};
use crate::greeting::{self, Greeted};
use crate::hostname;
use crate::ladder::Ladder;
use crate::out::out;
use crate::outcome::{self, Failure, Report, Seen, Violation};
use crate::service::runtime;
use crate::url::{Kind, Url, speaking};

pub(crate) fn run(args: &Probe) -> Result<(), Failure> {
    let url = &args.url.named(args.name.as_deref()).map_err(Failure::local)?;
    let runtime = runtime()?;
    let mut ladder = Ladder::new(!args.json, url.name());
    ladder.open(&url.to_string());
    let outcome = runtime.block_on(dialogue(args, url, &mut ladder));
    ladder.close();
    let missing = outcome.as_ref().ok().copied().flatten();
    let mut verdict = outcome::verdict(outcome.as_ref().map(drop));
    if let Some(missing) = missing {
        verdict.0 = format!("{}, but {missing}", verdict.0);
    }
    if args.json {
        let error = outcome.as_ref().err();
        let seen = seen(url, &ladder, error);
        outcome::print(&Report { seen, missing, error: error.map(ToString::to_string) });
    } else {
        out!("  verdict: {}\n", verdict.0);
    }
    let saved = ladder.save(args.ladder_svg.as_deref(), [verdict]);
    outcome.map_err(|error| Failure::at(&error, url, &ladder.greeting))?;
    saved
}

/// The output of `--json`.
pub(crate) fn seen<'a>(url: &'a Url, ladder: &'a Ladder, error: Option<&Error>) -> Seen<'a> {
    let implicit = url.scheme.mode == Mode::Implicit;
    Seen {
        protocol: url.scheme.name(),
        host: &url.host,
        name: url.name(),
        port: url.port,
        offered: offered(ladder, error).filter(|_| !implicit),
        upgraded: ladder.security.is_some(),
        verified: ladder.is_verified(),
        tls: ladder.security.as_ref(),
        certificate: ladder.certificate.as_ref(),
        violation: error.and_then(Violation::of),
    }
}

/// Whether the server offers the upgrade, if the exchange shows it.
fn offered(ladder: &Ladder, error: Option<&Error>) -> Option<bool> {
    match error.and_then(Error::protocol) {
        _ if ladder.security.is_some() => Some(true),
        Some(Rule::NotOffered) => Some(false),
        _ => ladder.offered,
    }
}

/// The timeout for a greeting inside TLS, at most half of `--timeout`.
const GREETING: Duration = Duration::from_secs(10);

/// The required output that a verified server did not send.
type Missing = Option<&'static str>;

async fn dialogue(args: &Probe, url: &Url, ladder: &mut Ladder) -> Result<Missing, Error> {
    let timeouts = Timeouts::new().with_total(args.timeout);
    let trusted = client(&args.peer, url, args.no_alpn)?.inspecting();
    let (driver, tls, url) =
        dial(url, &args.dns, args.peer.proxy.as_ref(), &trusted, timeouts, ladder).await?;
    match url.scheme.kind {
        Kind::Smtp => leave_mail::<Smtp>(driver, tls).await.map(|()| None),
        Kind::Lmtp => leave_mail::<Lmtp>(driver, tls).await.map(|()| None),
        _ => speaking!(url.scheme, P => leave::<P>(&url, args.timeout, driver).await),
    }
}

/// Reads the greeting inside TLS, if the protocol has one, and sends a goodbye. A server without its greeting can still be
/// verified: its reply to the goodbye shows that it accepts the handshake.
async fn leave<P: Roles>(
    url: &Url,
    patience: Duration,
    mut driver: Driver<'_, ClientStream<TcpOrUnix>>,
) -> Result<Missing, Error> {
    let (mut heard, mut silent) = (false, false);
    if url.scheme.mode == Mode::Implicit || P::PROTOCOL.server_first {
        // This client never sends a request, so no tag needs to be unpredictable.
        let names = Introduction::new(url.name(), [0; 20]);
        let client = P::client(&names, Policy::Opportunistic).map_err(Error::argument(NAME))?;
        let mut greeted = Greeted::new(client);
        match timeout(GREETING.min(patience / 2), greeted.listen(&mut driver)).await {
            Ok(outcome) => outcome.map(drop)?,
            Err(_) => silent = !greeted.heard,
        }
        heard = greeted.heard;
    }
    greeting::leave(driver, P::PHRASES.goodbye, heard).await?;
    Ok(silent.then_some("the server did not speak first inside TLS, as the protocol requires"))
}

/// Reads the server's output inside TLS once, and sends a goodbye.
async fn leave_mail<D: Dialect>(
    mut driver: Driver<'_, ClientStream<TcpOrUnix>>,
    tls: Tls,
) -> Result<(), Error> {
    let mut session = Session::<_, D>::new(tls);
    let done = |event: Event<'_>| match event {
        Event::Done(_) => Ok(ControlFlow::Break(())),
        _ => Ok(ControlFlow::Continue(())),
    };
    // As before TLS.
    let literal = address_literal(driver.stream().get_ref().0.local_address());
    let name = Domain::new(hostname::qualified().unwrap_or(&literal));
    let name = name.map_err(Error::argument("the name of this machine"))?;
    driver.run(&mut session.hello(name)?, |_, event, _| done(event)).await?;
    driver.run(&mut session.quit()?, |_, event, _| done(event)).await?;
    driver.close().await
}
