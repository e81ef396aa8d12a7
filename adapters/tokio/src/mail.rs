mod connection;

pub use connection::Connection;
use starttls::mail::{Envelope, LineEnds};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Client, Error as Rule, Policy, Tls};
use starttls_std::shared::Deadlines;
use tokio::io::AsyncRead;

use crate::driver::now;
use crate::socket::connect_within;
use crate::{
    ClientTls, Driver, Error, Login, Mode, Observer, Prompt, Receipt, Silent, Timeouts, Upgraded,
    handshake, upgrade_or_plaintext,
};

/// A way to a mail server.
#[derive(Clone, Debug)]
pub struct Mailer {
    /// The server's name: whom its certificate must be for, and where to connect.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// When TLS begins.
    pub mode: Mode,
    /// Whether mail may go without TLS, or to a server that nobody vouches for; credentials never
    /// do.
    pub policy: Policy,
    /// Whom to trust.
    pub tls: ClientTls,
    /// Who sends, if the server wants to know.
    pub credentials: Option<Login>,
    /// How the client introduces itself.
    pub domain: String,
    /// What to do with lone CR or LF in messages.
    pub line_ends: LineEnds,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Mailer {
    /// A way to a submission server: port 587, `STARTTLS`, nothing without TLS.
    #[must_use]
    pub fn new(host: impl Into<String>, tls: ClientTls) -> Self {
        Self {
            host: host.into(),
            port: Smtp::PROTOCOL.port,
            mode: Mode::StartTls,
            policy: Policy::Required,
            tls,
            credentials: None,
            domain: Domain::LOCALHOST.as_str().to_owned(),
            line_ends: LineEnds::Normalize,
            timeouts: Timeouts::default(),
        }
    }

    /// Sends one mail over a connection of its own.
    ///
    /// Dropped before it is done, it closes the connection, and nobody knows what became of the mail: it
    /// may be delivered if all of it was sent. Without its end no server takes it.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and all that can go wrong on the way there;
    /// [`Error::fate`] says whether it is safe to send it again.
    pub async fn send(
        &self,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
    ) -> Result<Receipt, Error> {
        self.send_as::<Smtp>(envelope, message, &mut Silent).await
    }

    /// Like [`send`](Self::send), in a dialect ([`Smtp`] or [`Lmtp`](starttls::lmtp::Lmtp)) and
    /// under observation.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_as<D: Dialect>(
        &self,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
        observer: &mut (dyn Observer + Send),
    ) -> Result<Receipt, Error> {
        let mut connection = self.connect_as::<D>(observer).await?;
        let outcome = connection.send(envelope, message).await;
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit().await;
        outcome
    }

    /// Opens a connection for any number of mails: upgraded, and with the credentials accepted.
    ///
    /// Dropped before it is done, it closes the connection.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; [`Error::Rejected`] if the server does not
    /// take the credentials.
    pub async fn connect(&self) -> Result<Connection<'_>, Error> {
        // A value without a size takes no memory, and leaks none.
        self.connect_as::<Smtp>(Box::leak(Box::new(Silent))).await
    }

    /// Like [`connect`](Self::connect), in a dialect and under observation.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn connect_as<'m, D: Dialect>(
        &'m self,
        observer: &'m mut (dyn Observer + Send),
    ) -> Result<Connection<'m, D>, Error> {
        let domain = Domain::new(&self.domain).map_err(Error::argument("the client's name"))?;
        self.credentials.as_ref().map_or(Ok(()), Login::check)?;
        let deadlines = Deadlines::start(self.timeouts, now());
        let stream = connect_within((self.host.as_str(), self.port), &deadlines).await?;
        let driver = Driver::starting(stream, deadlines, observer);
        let upgraded = self.upgrade::<D>(driver, domain).await?;
        // A password without TLS would be anyone's.
        if matches!(upgraded, Upgraded::Plaintext(..)) && self.credentials.is_some() {
            return Err(Rule::NotOffered.into());
        }
        let login = self.credentials.as_ref().map(|login| (login, &self.tls));
        Connection::begin(upgraded, domain, login, self.line_ends).await
    }

    async fn upgrade<'o, D: Dialect>(
        &self,
        driver: Driver<'o, Prompt>,
        domain: Domain<'_>,
    ) -> Result<Upgraded<'o, Prompt>, Error> {
        match self.mode {
            Mode::StartTls => {
                let client =
                    Client::<starttls::smtp::ClientGrammar<'_, D>>::new(domain, self.policy);
                upgrade_or_plaintext(driver, client, &self.tls, &self.host).await
            }
            Mode::Implicit => {
                let alpn = D::PROTOCOL.alpn;
                let (driver, verification) =
                    handshake(driver, &self.tls, &self.host, alpn, self.policy).await?;
                Ok(Upgraded::Tls(driver, Tls::implicit(self.policy, verification)?))
            }
        }
    }
}
