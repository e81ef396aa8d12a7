//! The mail, over a connection that has just begun.

use core::time::Duration;

use embassy_net::tcp::TcpSocket;
use embassy_time::Delay;
use embedded_io::{Error as _, ErrorKind, Read as _};
use rustls::CertificateError;
use sensor::{Exit, Report, Settings};
use starttls::ArgumentError;
use starttls::mail::session::Event;
use starttls_embedded::rustls::{ClientTls, Error};
use starttls_embedded::{Buffers, Composed, Mailer, Unreadable};
use static_cell::ConstStaticCell;

use crate::executor;

static BUFFERS: ConstStaticCell<Buffers<512, 256>> = ConstStaticCell::new(Buffers::new());

/// Upgrades the connection, logs in, and sends the report for this time.
pub async fn send(
    settings: &Settings<'_>,
    socket: &mut TcpSocket<'_>,
    mut tls: ClientTls,
    now: u64,
) -> Result<(), Exit> {
    let unusable = |error: ArgumentError| {
        defmt::warn!("{}", error);
        Exit::Settings
    };
    let report = Report::new(settings, now).map_err(unusable)?;
    let (message, envelope) =
        (report.message().map_err(unusable)?, report.envelope().map_err(unusable)?);
    let credentials = settings.credentials().map_err(unusable)?;
    let mut readings = report.readings();
    let readings = |_, buffer: &mut [u8]| readings.read(buffer).map_err(|_| Unreadable);

    let mut how =
        starttls_embedded::Settings::new().with_domain(Report::NAME).with_credentials(&credentials);
    if let Some(patience) = settings.patience {
        how = how.with_max_wait(Duration::from_secs(patience.into()));
    }
    let mut watch = |event: &Event<'_>| {
        if matches!(event, Event::Done(_)) {
            meter::AWAKE.set(executor::awake());
        }
    };
    let mailer = Mailer::new(socket, &mut tls, BUFFERS.take(), Delay);
    let mut mailer = mailer.with(how).watched_by(&mut watch);
    let sent = mailer.send_async(&envelope, Composed::with_files(&message, readings)).await;
    sent.map(|_| ()).map_err(|error| {
        defmt::warn!("{}", defmt::Display2Format(&error));
        Exit::of(&error, mailer.fate(), tls_exit)
    })
}

fn tls_exit(error: &Error) -> Exit {
    let Error::Tls(starttls_rustls::Error::Tls(rustls::Error::InvalidCertificate(problem))) = error
    else {
        return match error.kind() {
            ErrorKind::TimedOut => Exit::TimedOut,
            ErrorKind::Other => Exit::Tls,
            _ => Exit::Closed,
        };
    };
    match problem {
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
