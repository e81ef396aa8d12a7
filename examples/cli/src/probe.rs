//! `starttls probe`.

use std::ops::ControlFlow;

use starttls::lmtp::Lmtp;
use starttls::mail::Session;
use starttls::mail::session::Event;
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Error as Rule, Introduction, Policy, Roles, Tls};
use starttls_tokio::{Driver, Error, Mode, Timeouts};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::args::Probe;
use crate::dial::{NAME, dial, trust};
use crate::greeting::{self, Greeted};
use crate::ladder::Ladder;
use crate::out::out;
use crate::outcome::{self, Failure, Report, Violation};
use crate::picture::Tone;
use crate::serve::runtime;
use crate::url::{Kind, Url, speaking};

pub(crate) fn run(args: &Probe) -> Result<(), Failure> {
    let url = &args.url;
    let runtime = runtime()?;
    let mut ladder = Ladder::new(!args.json, &url.host);
    ladder.open(&format!("{}://{}:{}", url.scheme.name(), url.host, url.port));
    let outcome = runtime.block_on(dialogue(args, &mut ladder));
    ladder.close();
    let verdict = match &outcome {
        Ok(()) => ("upgraded and verified".to_owned(), Tone::Good),
        Err(error) => (format!("not safe to use: {error}"), Tone::Bad),
    };
    if args.json {
        print(url, &ladder, outcome.as_ref().err());
    } else {
        out!("  verdict: {}\n", verdict.0);
    }
    let saved = ladder.save(args.ladder_svg.as_deref(), [verdict]);
    outcome?;
    saved
}

/// Prints the JSON object.
pub(crate) fn print(url: &Url, ladder: &Ladder, error: Option<&Error>) {
    let implicit = url.scheme.mode == Mode::Implicit;
    let report = Report {
        protocol: url.scheme.name(),
        host: &url.host,
        port: url.port,
        offered: offered(ladder, error).filter(|_| !implicit),
        upgraded: ladder.security.is_some(),
        verified: ladder.is_verified(),
        tls: ladder.security.as_ref(),
        certificate: ladder.certificate.as_ref(),
        violation: error.and_then(Violation::of),
        error: error.map(ToString::to_string),
    };
    outcome::print(&report);
}

/// Whether the server offers the upgrade, as far as the exchange tells.
fn offered(ladder: &Ladder, error: Option<&Error>) -> Option<bool> {
    match error.and_then(Error::protocol) {
        _ if ladder.security.is_some() => Some(true),
        Some(Rule::NotOffered) => Some(false),
        _ => ladder.offered,
    }
}

async fn dialogue(args: &Probe, ladder: &mut Ladder) -> Result<(), Error> {
    let timeouts = Timeouts::new().with_total(args.timeout);
    let trusted = trust(args.ca.as_deref())?.inspecting();
    let (driver, tls) = dial(&args.url, &trusted, timeouts, ladder).await?;
    match args.url.scheme.kind {
        Kind::Smtp => leave_mail::<Smtp, _>(driver, tls).await,
        Kind::Lmtp => leave_mail::<Lmtp, _>(driver, tls).await,
        _ => speaking!(args.url.scheme, P => leave::<P, _>(&args.url, driver).await),
    }
}

/// Hears the greeting where there is one inside TLS, and says goodbye.
async fn leave<P: Roles, S: AsyncRead + AsyncWrite + Unpin>(
    url: &Url,
    mut driver: Driver<'_, S>,
) -> Result<(), Error> {
    if url.scheme.mode == Mode::Implicit || P::PROTOCOL.server_first {
        // It never speaks, so that nothing is there to be guessed.
        let names = Introduction::new(&url.host, [0; 20]);
        let client = P::client(&names, Policy::Opportunistic).map_err(Error::argument(NAME))?;
        Greeted::new(client).listen(&mut driver).await?;
    }
    greeting::leave(driver, P::PHRASES.goodbye).await
}

/// Looks once at what the server says inside TLS, and says goodbye.
async fn leave_mail<D: Dialect, S: AsyncRead + AsyncWrite + Unpin>(
    mut driver: Driver<'_, S>,
    tls: Tls,
) -> Result<(), Error> {
    let mut session = Session::<_, D>::new(tls);
    let done = |event: Event<'_>| match event {
        Event::Done(_) => Ok(ControlFlow::Break(())),
        _ => Ok(ControlFlow::Continue(())),
    };
    driver.run(&mut session.hello(Domain::LOCALHOST)?, |_, event, _| done(event)).await?;
    driver.run(&mut session.quit()?, |_, event, _| done(event)).await?;
    driver.close().await
}
