//! Spans and events of the crate tracing.
//!
//! They have no content: no byte of a dialogue or a message, no address and no user. A peer may repeat a password in
//! its reply, so an error is reported by its kind and not by its text.

#[cfg(feature = "tracing")]
use tracing::Instrument as _;

use crate::{Answer, Error, Mail, Observer, Receipt};

/// The span of a connection. Without the feature it is nothing.
#[derive(Clone)]
pub(crate) struct Span(#[cfg(feature = "tracing")] tracing::Span);

impl Span {
    /// No span.
    pub(crate) fn none() -> Self {
        Self(
            #[cfg(feature = "tracing")]
            tracing::Span::none(),
        )
    }

    /// The span of a connection to this server.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nothing is recorded"))]
    pub(crate) fn of_client(protocol: &str, host: &str, port: u16) -> Self {
        Self(
            #[cfg(feature = "tracing")]
            tracing::info_span!("connection", protocol, host, port),
        )
    }

    /// Runs a future within the span.
    pub(crate) async fn within<T>(&self, future: impl Future<Output = T>) -> T {
        #[cfg(feature = "tracing")]
        return future.instrument(self.0.clone()).await;
        #[cfg(not(feature = "tracing"))]
        future.await
    }

    /// Runs the future of one mail within a span of its own.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nothing is recorded"))]
    pub(crate) async fn mail(
        &self,
        recipients: usize,
        future: impl Future<Output = Result<Receipt, Error>>,
    ) -> Result<Receipt, Error> {
        #[cfg(feature = "tracing")]
        {
            let span = tracing::info_span!(parent: &self.0, "mail", recipients);
            async {
                let outcome = future.await;
                match &outcome {
                    Ok(receipt) => {
                        let accepted =
                            receipt.recipients.iter().filter(|answer| answer.is_yes()).count();
                        tracing::info!(
                            accepted,
                            refused = receipt.recipients.len() - accepted,
                            "sent"
                        );
                    }
                    Err(error) => failed(error),
                }
                outcome
            }
            .instrument(span)
            .await
        }
        #[cfg(not(feature = "tracing"))]
        future.await
    }

    /// Reports the end of opening or serving a connection.
    pub(crate) async fn outcome<T>(
        &self,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.within(async {
            let outcome = future.await;
            #[cfg(feature = "tracing")]
            if let Err(error) = &outcome {
                failed(error);
            }
            outcome
        })
        .await
    }
}

#[cfg(feature = "tracing")]
fn failed(error: &Error) {
    let code = match error {
        Error::Rejected { answer, .. } => Some(answer.code),
        _ => None,
    };
    let rule = error.protocol().map(|error| error.rule());
    tracing::warn!(code, rule, advice = ?error.advice(), fate = ?error.fate(), "failed");
}

/// Reports a received mail and the code of the reply to it.
pub(crate) fn received(mail: &Mail, answer: &Answer) {
    #[cfg(feature = "tracing")]
    tracing::info!(
        size = mail.size,
        recipients = mail.to.len(),
        encrypted = mail.peer.is_encrypted(),
        code = answer.code,
        "received"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (mail, answer);
}

/// An observer that also reports TLS.
pub(crate) struct Traced<O>(pub(crate) O);

impl<O: Observer> Observer for Traced<O> {
    fn connecting(&mut self, host: &str, address: std::net::SocketAddr) {
        self.0.connecting(host, address);
    }

    fn sent(&mut self, octets: &[u8]) {
        self.0.sent(octets);
    }

    fn withheld(&mut self, octets: usize) {
        self.0.withheld(octets);
    }

    fn received(&mut self, octets: &[u8]) {
        self.0.received(octets);
    }

    fn credential(&mut self, octets: usize) {
        self.0.credential(octets);
    }

    fn secured(&mut self, tls: &rustls::CommonState, problem: Option<&rustls::Error>) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            version = ?tls.protocol_version(),
            cipher_suite = ?tls.negotiated_cipher_suite().map(|suite| suite.suite()),
            verified = problem.is_none(),
            "encrypted"
        );
        self.0.secured(tls, problem);
    }
}
