//! Whether the server of `--backend` has TLS itself, which it must not: one connection, before the first client's.

use std::ops::ControlFlow;
use std::time::Duration;

use starttls::client::Event;
use starttls::{Error as Rule, Policy, Roles};
use starttls_tokio::{Doing, Driver, Error, Silent, Timeouts, connect};

use crate::backend::names;
use crate::misfit::is_tls;
use crate::serve::Front;
use crate::url::speaking;

/// The backend's time for the whole check: the service starts after it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of the check.
enum Seen {
    /// The backend offers an upgrade.
    Upgrade,
    /// The backend answers plaintext with a TLS record.
    TlsFirst,
    /// The backend sent no byte.
    Silence,
    /// The backend cannot be reached.
    Unreachable(String),
    /// No warning: no problem, or no certain one.
    Other,
}

/// The warning for the user. A backend that does not run yet is not a failure: it may start later.
pub(crate) async fn warning(front: &Front) -> Option<String> {
    let address = front.backend.as_deref()?;
    let seen = speaking!(front.scheme, P => ask::<P>(front, address).await);
    let (what, then) = match seen {
        Seen::Upgrade => (
            "offers an upgrade to TLS itself".to_owned(),
            "Clients may see that offer inside TLS, and use it or refuse to continue: disable TLS on its plaintext listener.",
        ),
        Seen::TlsFirst => (
            "speaks TLS itself".to_owned(),
            "It does not understand the forwarded plaintext: pass its plaintext listener.",
        ),
        Seen::Silence => (
            format!("sent nothing for {} seconds", PATIENCE.as_secs()),
            "If its port uses implicit TLS, pass its plaintext listener.",
        ),
        Seen::Unreachable(why) => {
            (format!("cannot be reached ({why})"), "Clients are refused until it runs.")
        }
        Seen::Other => return None,
    };
    Some(format!("warning: the server of --backend, {address}, {what}. {then}"))
}

/// Plays the plaintext phase of a client, and closes.
async fn ask<P: Roles>(front: &Front, address: &str) -> Seen {
    let timeouts = Timeouts::new().with_total(PATIENCE);
    let stream = match connect(address, &timeouts).await {
        Ok(stream) => stream,
        Err(Error::Io { doing: Doing::LookingUp | Doing::Connecting, error }) => {
            return Seen::Unreachable(error.to_string());
        }
        Err(_) => return Seen::Other,
    };
    let Ok(names) = names(front) else { return Seen::Other };
    let Ok(mut client) = P::client(&names, Policy::Opportunistic) else { return Seen::Other };
    let mut driver = Driver::new(stream, timeouts, Silent);
    let mut heard = false;
    let outcome = driver
        .run(&mut client, |_, event, _| {
            Ok(match event {
                Event::UpgradeReady => ControlFlow::Break(true),
                Event::Plaintext(_) => ControlFlow::Break(false),
                _ => {
                    heard = true;
                    ControlFlow::Continue(())
                }
            })
        })
        .await;
    match outcome {
        Ok(Some(true)) => Seen::Upgrade,
        Ok(_) => {
            let _ = driver.send(P::PHRASES.goodbye).await;
            Seen::Other
        }
        Err(Error::Protocol { said, .. }) if is_tls(&said) => Seen::TlsFirst,
        Err(Error::Protocol { error: Rule::TimedOut, said }) if !heard && said.is_empty() => {
            Seen::Silence
        }
        Err(_) => Seen::Other,
    }
}
