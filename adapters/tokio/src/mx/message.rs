use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use starttls::mail::Envelope;
use starttls::smtp::Smtp;
use tokio::io::{AsyncRead, ReadBuf};

use crate::{Connection, Error, Prompt, Receipt};

/// The source of a message.
pub(super) enum Message<'f, M> {
    /// A reader, which provides the message once.
    Once(Attended<M>),
    /// A function that provides the message each time.
    Anew(&'f mut (dyn FnMut() -> M + Send)),
}

impl<M: AsyncRead + Unpin> Message<'_, M> {
    /// Sends the message to as many recipients as it can be read for.
    pub(super) async fn send(
        &mut self,
        connection: &mut Connection<'_, Smtp, Prompt>,
        envelope: &Envelope<'_>,
    ) -> Result<Receipt, Error> {
        match self {
            Self::Once(message) => connection.send(envelope, message).await,
            Self::Anew(give) => connection.send_to_all(envelope, give).await,
        }
    }

    /// Whether the message cannot be read again.
    pub(super) const fn is_spent(&self) -> bool {
        matches!(self, Self::Once(message) if message.begun)
    }
}

/// A message that records whether any byte was read.
pub(super) struct Attended<R> {
    message: R,
    begun: bool,
}

impl<R> Attended<R> {
    pub(super) const fn new(message: R) -> Self {
        Self { message, begun: false }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Attended<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.begun = true;
        Pin::new(&mut self.message).poll_read(cx, buffer)
    }
}
