use crate::smtp::Reply;

/// The commands of a session; each has one reply, but for LMTP's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Command {
    /// Not ours: the server's greeting on a port with implicit TLS.
    Greeting,
    /// `EHLO` or `LHLO`.
    Hello,
    /// `HELO`, in plaintext only.
    Helo,
    /// `AUTH`, with all that it asks for.
    Auth,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// The message, with its final dot or its last chunk.
    Message,
    /// `BDAT`, but for the last.
    #[cfg(feature = "extensions")]
    Chunk,
    /// `RSET`.
    Reset,
    /// `QUIT`.
    Quit,
}

/// What happens in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// Part of an answer; it may be shown.
    Received(Reply<'i>),
    /// The answer for one recipient: 2yz accepts it. The mail goes on if any is accepted.
    Recipient {
        /// Its place in [`Envelope::to`](crate::mail::Envelope::to).
        index: u16,
        /// What the server said.
        reply: Reply<'i>,
    },
    /// The server waits for the message: call [`Exchange::body`](super::Exchange::body) and [`Exchange::finish`](super::Exchange::finish).
    Body(Reply<'i>),
    /// The server takes chunks of the message, or more of them: call
    /// [`Exchange::chunk`](super::Exchange::chunk) and [`Exchange::finish`](super::Exchange::finish).
    #[cfg(feature = "extensions")]
    Chunks,
    /// LMTP only: what became of the message for one accepted recipient; 2yz delivers it.
    Delivery {
        /// Its place among the accepted recipients.
        index: u16,
        /// What the server said.
        reply: Reply<'i>,
    },
    /// The job is done.
    Done(Reply<'i>),
    /// The server refused; the session goes on.
    Rejected {
        /// What was refused.
        command: Command,
        /// What the server said.
        reply: Reply<'i>,
    },
    /// No recipient was accepted, nothing is sent; the session goes on.
    NoRecipients,
    /// LMTP only: every [`Delivery`](Self::Delivery) is told; the job is done.
    Delivered,
}

impl Event<'_> {
    /// Whether the job ends with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Rejected { .. } | Self::NoRecipients | Self::Delivered)
    }
}

/// What became of a mail. Exhaustive: whoever asks has to know every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fate {
    /// Nothing of the message was sent.
    NotSent,
    /// The server refused it, or did not get the end of it: nobody has it.
    NotAccepted,
    /// The server takes responsibility for it (RFC 5321 §4.2.5); LMTP: for one recipient at least,
    /// and the events tell for which.
    Accepted,
    /// The end was sent and no answer came. The server may have it: sent again, it may arrive twice
    /// (RFC 1047).
    Unknown,
}

impl Fate {
    /// Whether sending it again cannot make it arrive twice.
    #[must_use]
    pub const fn is_safe_to_retry(self) -> bool {
        matches!(self, Self::NotSent | Self::NotAccepted)
    }
}
