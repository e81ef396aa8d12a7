use std::sync::Arc;

use starttls::mail::Envelope;
use starttls::smtp::Dialect;
use starttls_common::{
    Addresses, Connect, Connector, EmlFiles, Error, Maildir, Receipt, Recorder, Runtime, Sendmail,
};

use crate::mail::Encrypted;
use crate::{Blocking, Mailer, Pool, Socket};

/// A way for mail to leave: a server, or what stands in for one in tests and during development.
///
/// ```
/// use starttls::mail::{Address, Envelope};
/// use starttls_std::{Error, Recorder, Transport};
///
/// /// The part of an application that is tested.
/// fn invite(mail: &dyn Transport, guest: &str) -> Result<(), Error> {
///     let to = [Address::new(guest).map_err(Error::argument("the guest's address"))?];
///     let envelope = Envelope::new(None, &to).map_err(Error::argument("the guest"))?;
///     mail.send(&envelope, b"Subject: You are invited\r\n\r\n").map(drop)
/// }
///
/// let recorder = Recorder::new();
/// invite(&recorder, "you@example.org")?;
/// assert_eq!(recorder.mails()[0].to, ["you@example.org"]);
/// # Ok::<(), Error>(())
/// ```
pub trait Transport {
    /// Sends one mail to all its recipients.
    ///
    /// # Errors
    /// Those of the transport. [`Error::fate`] tells whether a retry can deliver the mail twice.
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error>;
}

impl<T, C> Transport for Mailer<T, C>
where
    C: Connector<Blocking, Stream: Socket>,
    T: Connect<Blocking, C::Stream>,
    Blocking: Runtime<Encrypted<T, C::Stream>>,
{
    /// Over a new connection, in as many transactions as needed.
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        self.send_to_all(envelope, || message)
    }
}

impl<D, T, C> Transport for Pool<D, T, C>
where
    D: Dialect,
    C: Connector<Blocking, Stream: Socket>,
    T: Connect<Blocking, C::Stream>,
    Blocking: Runtime<Encrypted<T, C::Stream>>,
{
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        Self::send(self, envelope, message)
    }
}

impl Transport for Recorder {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        self.record(&Addresses::from(envelope), message)
    }
}

impl Transport for EmlFiles {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        self.store(&Addresses::from(envelope), message)
    }
}

impl Transport for Maildir {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        self.store(&Addresses::from(envelope), message)
    }
}

impl Transport for Sendmail {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        self.pass(&Addresses::from(envelope), message)
    }
}

impl<T: Transport + ?Sized> Transport for &T {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        T::send(self, envelope, message)
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        T::send(self, envelope, message)
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        T::send(self, envelope, message)
    }
}
