//! The reactions to each machine's events.

use core::ops::ControlFlow;

#[cfg(feature = "smtp")]
use starttls::mail::{opening, session};
use starttls::{Client, Error as Rule, Reason, Server, client, server};

/// Up to the go-ahead. Without TLS this fails, whatever the policy allows.
pub(crate) fn of_client<G: client::Grammar>(
    _: &mut Client<G>,
    event: client::Event<'_>,
) -> Result<ControlFlow<()>, Rule> {
    match event {
        client::Event::UpgradeReady => Ok(ControlFlow::Break(())),
        client::Event::Plaintext(reason) => Err(without_tls(reason)),
        _ => Ok(ControlFlow::Continue(())),
    }
}

/// Up to the go-ahead.
pub(crate) fn of_server<G: server::Grammar>(
    server: &mut Server<G>,
    event: server::Event<'_>,
) -> Result<ControlFlow<()>, Rule> {
    match event {
        server::Event::UpgradeReady => return Ok(ControlFlow::Break(())),
        server::Event::UpgradeRequested => server.accept()?,
        server::Event::Command(_) => server.unknown()?,
        // The client continues without TLS, or leaves.
        server::Event::Plaintext | server::Event::Quit => return Err(Rule::Closed),
        _ => {}
    }
    Ok(ControlFlow::Continue(()))
}

const fn without_tls(reason: Reason) -> Rule {
    match reason {
        Reason::Refused => Rule::Refused,
        _ => Rule::NotOffered,
    }
}

/// The observer of a server's replies, if there is one.
#[cfg(feature = "smtp")]
#[derive(Default)]
pub(crate) struct Watch<'w>(pub(crate) Option<&'w mut dyn FnMut(&session::Event<'_>)>);

#[cfg(feature = "smtp")]
impl Watch<'_> {
    pub(crate) fn tell(&mut self, event: &session::Event<'_>) {
        if let Some(watch) = &mut self.0 {
            watch(event);
        }
    }

    /// Up to TLS, or to an open connection. A refusal is stored, because the machine says goodbye before it
    /// fails.
    pub(crate) fn opening(
        &mut self,
        event: opening::Event<'_>,
        refused: &mut Option<starttls::mail::Refusal>,
    ) -> Result<ControlFlow<()>, Rule> {
        match event {
            opening::Event::StartTls | opening::Event::Ready => return Ok(ControlFlow::Break(())),
            opening::Event::Plaintext(reason) => return Err(without_tls(reason)),
            opening::Event::Session(event) => {
                self.tell(&event);
                *refused = refused.or(starttls::mail::Refusal::of(&event));
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Up to the end of a task.
    pub(crate) fn job(&mut self, event: session::Event<'_>) -> Result<ControlFlow<()>, Rule> {
        self.tell(&event);
        Ok(if event.is_last() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
