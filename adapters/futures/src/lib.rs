#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS over futures-io, with futures-rustls.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(rustdoc::all)]

mod fair;

use std::future::Future;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use async_io::{Async, Timer};
pub use fair::Fair;
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, future};
use futures_rustls::{TlsAcceptor, TlsConnector, client, server};
use rustls::{ClientConnection, ServerConfig, ServerConnection};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy};
#[cfg(feature = "url")]
pub use starttls_common::MailUrl;
use starttls_common::{
    self as common, Accept, Binding, Connect, Dial, ReadMessage, Runtime, Secured, Wait,
    check_alpn, hello,
};
pub use starttls_common::{
    Advice, Answer, Certificates, ClientCas, ClientTls, Connector, Decide, Deliver, Dialer, Doing,
    Error, InboxSettings, Link, Login, MAX_MESSAGE, Mail, Mode, Observer, Peer, PeerCertificate,
    PeerTls, PoolSettings, Proxy, Receipt, Recipient, Route, Secret, Settings, Silent, Target,
    Timeouts, accept_implicit, accept_or_plaintext, check_chosen, connect_implicit, explain,
    handshake, open, rustls, upgrade_or_plaintext, upgrade_with,
};
#[cfg(feature = "scram")]
pub use starttls_common::{SCRAM_ITERATIONS, StoredPassword};

/// How many bytes are read at once: one TLS record.
const READ: usize = 16 * 1024;

/// The I/O of this crate: streams of futures-io, timers and sockets of async-io.
#[derive(Clone, Copy, Debug)]
pub struct Futures;

/// Drives machines over a stream, see [`Driver`](common::Driver).
pub type Driver<'o, S> = common::Driver<'o, S, Futures>;

/// Sends mail to one server, see [`Mailer`](common::Mailer).
pub type Mailer<T = ClientTls, C = Dialer> = common::Mailer<Futures, T, C>;

/// Open connections to one mail server that an application's tasks share, see [`Pool`](common::Pool).
pub type Pool<D = Smtp, T = ClientTls, C = Dialer> = common::Pool<D, Futures, T, C>;

/// An open connection to a mail server over a stream `S`, see [`Connection`](common::Connection).
pub type Connection<'o, D = Smtp, S = Async<TcpStream>> =
    common::Connection<'o, D, Futures, S, client::TlsStream<Fair<S>>>;

/// A server that receives mail, see [`Inbox`](common::Inbox).
pub type Inbox = common::Inbox<Futures>;

impl<S: AsyncRead + AsyncWrite + Unpin> Runtime<S> for Futures {
    fn now() -> Instant {
        Instant::now()
    }

    async fn read(stream: &mut S, link: &mut Link<'_>, until: Instant) -> io::Result<bool> {
        let read = within(until, stream.read(link.room(READ))).await?;
        read.into_iter().for_each(|n| link.received(n));
        Ok(read.is_some())
    }

    async fn write(stream: &mut S, bytes: &[u8], until: Instant) -> io::Result<Option<usize>> {
        within(until, stream.write(bytes)).await
    }

    async fn flush(stream: &mut S, until: Instant) -> io::Result<bool> {
        within(until, stream.flush()).await.map(|flushed| flushed.is_some())
    }

    async fn shutdown(stream: &mut S, until: Instant) -> io::Result<bool> {
        within(until, stream.close()).await.map(|closed| closed.is_some())
    }
}

impl Wait for Futures {
    async fn within<F: Future>(until: Instant, future: F) -> Option<F::Output> {
        let late = async {
            Timer::at(until).await;
            None
        };
        future::or(async { Some(future.await) }, late).await
    }
}

impl<M: AsyncRead + Unpin> ReadMessage<M> for Futures {
    async fn read_message(message: &mut M, buffer: &mut [u8]) -> io::Result<usize> {
        message.read(buffer).await
    }
}

impl Dial for Futures {
    type Stream = Async<TcpStream>;

    /// The lookup of the name blocks, so it runs on a separate thread.
    async fn dial(host: &str, port: u16, link: &mut Link<'_>) -> Result<Self::Stream, Error> {
        let name = (host.to_owned(), port);
        let addresses = blocking::unblock(move || std::net::ToSocketAddrs::to_socket_addrs(&name));
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in addresses.await.map_err(Error::io(Doing::LookingUp))? {
            let until = link.connect_deadline(Instant::now());
            match within(until, Async::<TcpStream>::connect(address)).await {
                Ok(Some(stream)) => {
                    stream.get_ref().set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
                    return Ok(stream);
                }
                Ok(None) => last = io::ErrorKind::TimedOut.into(),
                Err(error) => last = error,
            }
        }
        Err(Error::io(Doing::Connecting)(last))
    }

    fn local_address(stream: &Self::Stream) -> Option<IpAddr> {
        stream.get_ref().local_addr().ok().map(|address| address.ip())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connect<Futures, S> for ClientTls {
    type Stream = client::TlsStream<Fair<S>>;

    fn is_certified(&self) -> bool {
        ClientTls::is_certified(self)
    }

    async fn connect(
        &self,
        mut stream: S,
        link: &mut Link<'_>,
        name: &str,
        alpn: Option<&[u8]>,
        policy: Policy,
    ) -> Result<Secured<Self::Stream>, Error> {
        let opening = self.open(name, alpn, policy)?;
        let hello = hello::<Futures, S>(&mut stream, link, &opening).await?;
        let connector = TlsConnector::from(opening.placeholder());
        // Continues the handshake that [`hello`] started.
        let go_on = |tls: &mut ClientConnection| *tls = hello;
        let stream = Fair::new(stream);
        let connect = connector.connect_with(opening.name.clone(), stream, go_on);
        let stream = shake_hands(link, connect).await?;
        let tls = stream.get_ref().1;
        let verification = opening.judge(tls, link.observer())?;
        let binding = Binding::over(tls, self)?;
        let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Ok(Secured { stream, verification, binding, alpn })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Accept<Futures, S> for Arc<ServerConfig> {
    type Stream = server::TlsStream<Fair<S>>;

    async fn accept(
        &self,
        stream: S,
        link: &mut Link<'_>,
        mut early: &[u8],
        alpn: Option<&[u8]>,
    ) -> Result<Self::Stream, Error> {
        let mut taken = Ok(());
        let take = |tls: &mut ServerConnection| taken = common::take_early(tls, &mut early);
        let accept = TlsAcceptor::from(Arc::clone(self)).accept_with(Fair::new(stream), take);
        taken?;
        let stream = shake_hands(link, accept).await?;
        link.accepted(stream.get_ref().1);
        check_alpn(alpn, stream.get_ref().1)?;
        Ok(stream)
    }
}

async fn shake_hands<T>(
    link: &mut Link<'_>,
    handshake: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    let shaken = within(link.handshake_deadline(Instant::now()), handshake).await;
    shaken.map_err(Error::handshake)?.ok_or_else(|| Rule::TimedOut.into())
}

/// The output of a future, or `None` if the time is up.
async fn within<T>(
    until: Instant,
    act: impl Future<Output = io::Result<T>>,
) -> io::Result<Option<T>> {
    Futures::within(until, act).await.transpose()
}
