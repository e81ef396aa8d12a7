mod connection;
pub(crate) mod letter;

use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

pub use connection::Connection;
pub use letter::Receipt;
use starttls::mail::{Envelope, LineEnds, Session};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Client, Error as Rule, Policy, Tls};

use connection::{Link, job, leave_if_rejected};

use crate::driver::Driver;
use crate::login::Connected;
use crate::timeouts::{Deadlines, Timeouts};
use crate::upgrade::{ClientStream, Upgraded, connect_within, handshake, upgrade_or_plaintext};
use crate::{ClientTls, Error, Login, Observer, Silent};

/// When TLS begins. Exhaustive: there is no third moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// After `STARTTLS`.
    #[default]
    StartTls,
    /// At once (RFC 8314 §3).
    Implicit,
}

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
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and all that can go wrong on the way there;
    /// [`Error::fate`] says whether it is safe to send it again.
    pub fn send(&self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        self.send_as::<Smtp>(envelope, message, &mut Silent)
    }

    /// Like [`send`](Self::send), in a dialect ([`Smtp`] or [`Lmtp`](starttls::lmtp::Lmtp)) and
    /// under observation.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_as<D: Dialect>(
        &self,
        envelope: &Envelope<'_>,
        message: impl Read,
        observer: &mut dyn Observer,
    ) -> Result<Receipt, Error> {
        let mut connection = self.connect_as::<D>(observer)?;
        let outcome = connection.send(envelope, message);
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit();
        outcome
    }

    /// Opens a connection for any number of mails: upgraded, and with the credentials accepted.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; [`Error::Rejected`] if the server does not
    /// take the credentials.
    pub fn connect(&self) -> Result<Connection<'_>, Error> {
        // A value without a size takes no memory, and leaks none.
        self.connect_as::<Smtp>(Box::leak(Box::new(Silent)))
    }

    /// Like [`connect`](Self::connect), in a dialect and under observation.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_as<'m, D: Dialect>(
        &'m self,
        observer: &'m mut dyn Observer,
    ) -> Result<Connection<'m, D>, Error> {
        let domain = Domain::new(&self.domain).map_err(Error::argument("the client's name"))?;
        self.credentials.as_ref().map_or(Ok(()), Login::check)?;
        let deadlines = Deadlines::start(self.timeouts, Instant::now());
        let stream = connect_within((self.host.as_str(), self.port), &deadlines)?;
        let driver = Driver::starting(stream, deadlines, observer);
        let link = match self.upgrade::<D>(driver, domain)? {
            Upgraded::Tls(mut driver, tls) => {
                let mut session = Session::<_, D>::new(tls);
                job(&mut driver, &mut session.hello(domain)?)?;
                if let Some(login) = &self.credentials {
                    let outcome = log_in(&mut driver, &mut session, login, &self.tls);
                    leave_if_rejected(&mut driver, &mut session, outcome)?;
                }
                session.set_line_ends(self.line_ends);
                Link::Tls(driver, session)
            }
            // A password without TLS would be anyone's.
            Upgraded::Plaintext(..) if self.credentials.is_some() => {
                return Err(Rule::NotOffered.into());
            }
            Upgraded::Plaintext(mut driver, plaintext) => {
                let mut session = Session::<_, D>::new(plaintext);
                job(&mut driver, &mut session.hello(domain)?)?;
                session.set_line_ends(self.line_ends);
                Link::Plaintext(driver, session)
            }
        };
        Ok(Connection::new(link))
    }

    fn upgrade<'o, D: Dialect>(
        &self,
        driver: Driver<'o, TcpStream>,
        domain: Domain<'_>,
    ) -> Result<Upgraded<'o>, Error> {
        match self.mode {
            Mode::StartTls => {
                let client =
                    Client::<starttls::smtp::ClientGrammar<'_, D>>::new(domain, self.policy);
                upgrade_or_plaintext(driver, client, &self.tls, &self.host)
            }
            Mode::Implicit => {
                let alpn = D::PROTOCOL.alpn;
                let (driver, verification) =
                    handshake(driver, &self.tls, &self.host, alpn, self.policy)?;
                Ok(Upgraded::Tls(driver, Tls::implicit(self.policy, verification)?))
            }
        }
    }
}

fn log_in<D: Dialect>(
    driver: &mut Driver<'_, ClientStream>,
    session: &mut Session<Tls, D>,
    login: &Login,
    tls: &ClientTls,
) -> Result<(), Error> {
    let connected = Connected::over(&driver.stream().conn, tls)?;
    let credentials = login.credentials(&connected)?;
    driver.set_secret(true);
    let outcome = match session.authenticate(&credentials) {
        Ok(mut authenticate) => job(driver, &mut authenticate),
        Err(error) => Err(error.into()),
    };
    driver.set_secret(false);
    outcome
}

#[cfg(test)]
mod tests;
