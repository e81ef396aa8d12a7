//! The mail: STARTTLS, login, message, goodbye.

use embassy_net::tcp::TcpSocket;
use embedded_io::Read as _;
use embedded_io_async::Write as _;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use sensor::{Exit, Readings, Report, Settings};
use starttls::client::Grammar;
use starttls::smtp::message::Progress;
use starttls::smtp::session::{Command, Event, Exchange, Fate};
use starttls::smtp::{self, Message, Session};
use starttls::{Policy, Tls};
use starttls_embedded::Error as Failure;
use starttls_rustls::{Client, ClientTls, Error, Step};

/// Sends the report over a connected socket.
pub async fn send(
    socket: &mut TcpSocket<'_>,
    tls: &ClientTls,
    settings: &Settings<'_>,
    report: &Report<'_>,
) -> Result<(), Exit> {
    let name = ServerName::try_from(settings.name).map_err(|_| Exit::Settings)?.to_owned();
    let credentials = settings.credentials().map_err(|_| Exit::Settings)?;
    let envelope = report.envelope().map_err(|_| Exit::Settings)?;
    let message = report.message().map_err(|_| Exit::Settings)?;

    let client = smtp::Client::new(Report::NAME, Policy::Required);
    let mut link = Link { socket, connection: Client::new(client, tls, name) };
    let tls = link.upgrade().await?;
    let mut session = Session::<Tls>::new(tls, Report::NAME);
    link.run(&mut session.hello().map_err(refused)?).await?;
    link.run(&mut session.authenticate(&credentials).map_err(refused)?).await?;
    let mut mail = session.send(&envelope).map_err(refused)?;
    link.run(&mut mail).await?;
    link.message(&mut mail, &message, report.readings()).await?;
    mail.finish().map_err(refused)?;
    link.run(&mut mail).await?;
    // The mail is sent, however the goodbye goes.
    if let Ok(mut quit) = session.quit() {
        let _ = link.run(&mut quit).await;
    }
    let _ = link.connection.close();
    let _ = link.exchange(false).await;
    Ok(())
}

/// A socket, and the machine with TLS inside.
struct Link<'l, 's, G: Grammar> {
    socket: &'l mut TcpSocket<'s>,
    connection: Client<G>,
}

impl<G: Grammar> Link<'_, '_, G> {
    /// Everything up to the end of the handshake.
    async fn upgrade(&mut self) -> Result<Tls, Exit> {
        loop {
            let more = match self.connection.step() {
                Ok(Step::Event(starttls_rustls::Event::Established(tls))) => return Ok(tls),
                Ok(Step::Event(_)) => continue,
                Ok(Step::Read) => true,
                Ok(Step::Write) => false,
                Ok(Step::End) => return Err(Exit::Closed),
                Err(error) => {
                    // The last words, an alert for example.
                    let _ = self.exchange(false).await;
                    return Err(explain(&error));
                }
            };
            self.exchange(more).await?;
        }
    }

    /// A job of the session, up to its end or to the server's being ready for the message.
    async fn run(&mut self, job: &mut Exchange<'_, '_, '_, Tls>) -> Result<(), Exit> {
        loop {
            let more = match self.connection.step_with(job).map_err(|error| explain(&error))? {
                Step::Event(Event::Done(_) | Event::Body(_)) => return Ok(()),
                Step::Event(Event::Rejected { command: Command::Auth, .. }) => {
                    return Err(Exit::Login);
                }
                Step::Event(Event::Rejected { .. } | Event::NoRecipients) => {
                    return Err(Exit::Rejected);
                }
                Step::Event(_) => continue,
                Step::Read => true,
                Step::Write => false,
                Step::End => return Err(Exit::Closed),
            };
            self.exchange(more).await?;
        }
    }

    /// The message, composed while it is sent.
    async fn message(
        &mut self,
        mail: &mut Exchange<'_, '_, '_, Tls>,
        message: &Message<'_>,
        mut readings: Readings,
    ) -> Result<(), Exit> {
        let (mut composer, mut output, mut piece) = (message.compose(), [0; 512], [0; 64]);
        loop {
            match composer.step(&mut output).map_err(refused)? {
                Progress::Write(n) => self.body(mail, output.get(..n)).await?,
                Progress::Attachment(_) => {
                    while let Ok(n @ 1..) = readings.read(&mut piece) {
                        let mut rest = piece.get(..n).unwrap_or_default();
                        while !rest.is_empty() {
                            let n = composer.attach(&mut rest, &mut output).map_err(refused)?;
                            self.body(mail, output.get(..n)).await?;
                        }
                    }
                    composer.end_attachment().map_err(refused)?;
                }
                Progress::Done => return Ok(()),
            }
        }
    }

    async fn body(
        &mut self,
        mail: &mut Exchange<'_, '_, '_, Tls>,
        octets: Option<&[u8]>,
    ) -> Result<(), Exit> {
        let mut octets = octets.unwrap_or_default();
        while !octets.is_empty() {
            if self.connection.room() == 0 {
                self.exchange(false).await?;
            }
            let written = self.connection.write_with(|free| mail.body(&mut octets, free));
            written.map_err(|error| explain(&error))?;
        }
        Ok(())
    }

    /// Sends what is to be sent, and receives more if there is need of it.
    async fn exchange(&mut self, more: bool) -> Result<(), Exit> {
        let to_send = self.connection.to_send();
        self.socket.write_all(to_send).await.map_err(|_| Exit::Closed)?;
        self.connection.sent(to_send.len());
        if more {
            let free = self.connection.receive_buffer();
            match self.socket.read(free).await.map_err(|_| Exit::Closed)? {
                0 => self.connection.end_of_input(),
                n => self.connection.received(n),
            }
        }
        Ok(())
    }
}

fn refused(error: starttls::Error) -> Exit {
    explain(&error.into())
}

/// What an error means, and into the log what it says.
pub fn explain(error: &Error) -> Exit {
    defmt::warn!("{=str}", alloc::format!("{error}").as_str());
    let Error::Tls(rustls::Error::InvalidCertificate(error)) = error else {
        let Some(error) = error.protocol() else { return Exit::Tls };
        return Exit::of(&Failure::<(), ()>::Protocol(error), Fate::NotSent, |()| Exit::Tls);
    };
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Exit::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Exit::WrongName
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Exit::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Exit::NotYetValid
        }
        _ => Exit::Tls,
    }
}
