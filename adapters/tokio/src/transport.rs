use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use starttls::mail::Envelope;
use starttls::smtp::Dialect;
use starttls_common::{
    Addresses, ClientTls, Doing, EmlFiles, Error, Maildir, Receipt, Recorder, Sendmail,
};
use tokio::task::spawn_blocking;

use crate::{Mailer, Pool};

/// The future of [`Transport::send`].
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Receipt, Error>> + Send + 'a>>;

/// A way for mail to leave: a server, or what stands in for one in tests and during development.
///
/// An application can hold an `Arc<dyn Transport>`. [`EmlFiles`], [`Maildir`] and [`Sendmail`] work on
/// threads for blocking calls, so that they need a tokio runtime, and go on if the future is dropped.
///
/// ```
/// use std::sync::Arc;
///
/// use starttls::mail::{Address, Envelope};
/// use starttls_tokio::{Error, Recorder, Transport};
///
/// /// The part of an application that is tested.
/// async fn invite(mail: Arc<dyn Transport>, guest: &str) -> Result<(), Error> {
///     let to = [Address::new(guest).map_err(Error::argument("the guest's address"))?];
///     let envelope = Envelope::new(None, &to).map_err(Error::argument("the guest"))?;
///     mail.send(&envelope, b"Subject: You are invited\r\n\r\n").await.map(drop)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let recorder = Recorder::new();
/// invite(Arc::new(recorder.clone()), "you@example.org").await?;
/// assert_eq!(recorder.mails()[0].to, ["you@example.org"]);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub trait Transport: Send + Sync {
    /// Sends one mail to all its recipients.
    ///
    /// # Errors
    /// Those of the transport. [`Error::fate`] tells whether a retry can deliver the mail twice.
    fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a>;
}

macro_rules! servers {
    ($($tls:ty),*) => {$(
        impl Transport for Mailer<$tls> {
            /// Over a new connection, in as many transactions as needed.
            fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a> {
                Box::pin(self.send_to_all(envelope, move || message))
            }
        }

        impl<D: Dialect + Send + Sync + 'static> Transport for Pool<D, $tls> {
            fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a> {
                Box::pin(Self::send(self, envelope, message))
            }
        }
    )*};
}

servers!(ClientTls);
#[cfg(feature = "native-tls")]
servers!(starttls_common::native_tls::NativeTls);

impl Transport for Recorder {
    fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a> {
        Box::pin(ready(self.record(&Addresses::from(envelope), message)))
    }
}

/// Runs a blocking transport on a thread of its own.
fn apart<'a, T: Clone + Send + 'static>(
    transport: &T,
    envelope: &Envelope<'_>,
    message: &[u8],
    send: impl FnOnce(T, Addresses, Vec<u8>) -> Result<Receipt, Error> + Send + 'static,
) -> Sending<'a> {
    let (transport, mail) = (transport.clone(), Addresses::from(envelope));
    let message = message.to_vec();
    Box::pin(async move {
        let sent = spawn_blocking(move || send(transport, mail, message)).await;
        sent.map_err(io::Error::other).map_err(Error::io(Doing::Other("the blocking transport")))?
    })
}

impl Transport for EmlFiles {
    fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a> {
        apart(self, envelope, message, |files, mail, message| files.store(&mail, &message))
    }
}

impl Transport for Maildir {
    fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a> {
        apart(self, envelope, message, |maildir, mail, message| maildir.store(&mail, &message))
    }
}

impl Transport for Sendmail {
    fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a> {
        apart(self, envelope, message, |program, mail, message| program.pass(&mail, &message))
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send<'a>(&'a self, envelope: &'a Envelope<'a>, message: &'a [u8]) -> Sending<'a> {
        T::send(self, envelope, message)
    }
}
