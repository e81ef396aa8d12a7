use crate::Untrusted;
use crate::smtp::Reply;

/// A command of a session. Each has one reply, except LMTP's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Command {
    /// No command: the server's greeting inside implicit TLS.
    Greeting,
    /// `EHLO` or `LHLO`.
    Hello,
    /// `HELO`, only in plaintext.
    Helo,
    /// `AUTH`, with the responses to its challenges.
    Auth,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// The message, with its final dot or its last chunk.
    Message,
    /// `BDAT`, except the last one.
    #[cfg(feature = "extensions")]
    Chunk,
    /// `RSET`.
    Reset,
    /// `QUIT`.
    Quit,
}

/// An event in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// A part of a reply, or a reply after which the next step fails. Show or log it.
    Received(Reply<'i>),
    /// A line that is not a reply. Show or log it; the next step fails.
    Unreadable(Untrusted<'i>),
    /// The reply for one recipient; 2yz accepts it. The mail continues if any recipient is accepted.
    Recipient {
        /// The recipient's index in [`Envelope::to`](crate::mail::Envelope::to).
        index: u16,
        /// The server's reply.
        reply: Reply<'i>,
    },
    /// The server waits for the message. Call [`Exchange::body`](super::Exchange::body), then
    /// [`Exchange::finish`](super::Exchange::finish).
    Body(Reply<'i>),
    /// The server waits for chunks of the message. Call [`Exchange::chunk`](super::Exchange::chunk), then
    /// [`Exchange::finish`](super::Exchange::finish).
    #[cfg(feature = "extensions")]
    Chunks,
    /// LMTP only: the result for one accepted recipient; 2yz means delivered.
    Delivery {
        /// The recipient's index among the accepted ones.
        index: u16,
        /// The server's reply.
        reply: Reply<'i>,
    },
    /// The task is done.
    Done(Reply<'i>),
    /// The server refused a command. The session continues.
    Rejected {
        /// The refused command.
        command: Command,
        /// The server's reply.
        reply: Reply<'i>,
    },
    /// No recipient was accepted, and nothing was sent. The session continues.
    NoRecipients,
    /// LMTP only: every [`Delivery`](Self::Delivery) has been reported. The task is done.
    Delivered,
}

impl Event<'_> {
    /// Whether the event ends the task.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Rejected { .. } | Self::NoRecipients | Self::Delivered)
    }
}

/// The fate of a mail.
///
/// The enum is exhaustive, because code that matches on it has to handle every fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fate {
    /// No part of the message was sent.
    NotSent,
    /// The server refused the message, or did not get its end. It does not have the mail.
    NotAccepted,
    /// The server has taken responsibility for the mail (RFC 5321 §4.2.5). LMTP: for at least one
    /// recipient; the events tell which.
    Accepted,
    /// The end of the message was sent, and no reply arrived. The server may have the mail. If sent again,
    /// it may arrive twice (RFC 1047).
    Unknown,
}

impl Fate {
    /// Whether the mail can be sent again without arriving twice.
    #[must_use]
    pub const fn is_safe_to_retry(self) -> bool {
        matches!(self, Self::NotSent | Self::NotAccepted)
    }
}
