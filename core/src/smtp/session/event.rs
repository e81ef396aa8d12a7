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
    /// `AUTH`.
    Auth,
    /// The user name, asked for by `AUTH LOGIN`.
    User,
    /// The password, asked for by `AUTH LOGIN`.
    Password,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// The message, with its final dot.
    Message,
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
        /// Its place in [`Envelope::to`](crate::smtp::Envelope::to).
        index: u16,
        /// What the server said.
        reply: Reply<'i>,
    },
    /// The server waits for the message: call [`Exchange::body`](super::Exchange::body) and [`Exchange::finish`](super::Exchange::finish).
    Body(Reply<'i>),
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
