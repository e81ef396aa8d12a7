//! The daily mail.

use core::fmt::Debug;

use embassy_net::tcp::TcpSocket;
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Delay, Duration, Timer, WithTimeout as _};
use embedded_io::Read as _;
use rand_chacha::ChaCha20Rng;
use rustls_pki_types::CertificateDer;
use sensor::{Report, Settings};
use starttls_embedded::embedded_tls::{ClientTls, Records};
use starttls_embedded::verify::anchor;
use starttls_embedded::{Buffers, Composed, Mailer, Unreadable};
use static_cell::ConstStaticCell;

use crate::network;

/// The page of flash written by the factory, at the address in the board's `memory.x`; `settings` makes one.
const PAGE: usize = 4096;

unsafe extern "C" {
    safe static _settings: [u8; PAGE];
}

/// The pause between two mails, and before the next try after a failure.
const DAY: Duration = Duration::from_secs(24 * 3600);
const RETRY: Duration = Duration::from_secs(600);

/// The timeout of a connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// The buffers for sending a mail, one at a time.
struct Room {
    received: &'static mut [u8],
    to_send: &'static mut [u8],
    buffers: &'static mut Buffers<512, 256>,
    records: &'static mut Records,
}

impl Room {
    /// Each buffer alone, so that those of zeros take no flash.
    fn take() -> Self {
        static RECEIVED: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
        static TO_SEND: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
        static BUFFERS: ConstStaticCell<Buffers<512, 256>> = ConstStaticCell::new(Buffers::new());
        static RECORDS: ConstStaticCell<Records> = ConstStaticCell::new(Records::new());

        Self {
            received: RECEIVED.take(),
            to_send: TO_SEND.take(),
            buffers: BUFFERS.take(),
            records: RECORDS.take(),
        }
    }
}

/// Sends the mail now and then once a day, and again after a failure.
///
/// # Panics
/// If the settings in flash are incomplete or malformed, or in a second call.
pub async fn report_daily(stack: Stack<'_>, random: &mut ChaCha20Rng) -> ! {
    let settings = Settings::parse(&_settings).expect("the factory wrote the settings");
    let mut room = Room::take();
    loop {
        stack.wait_config_up().await;
        let next = match report(stack, &settings, random, &mut room).await {
            Ok(()) => DAY,
            Err(Failed) => RETRY,
        };
        Timer::after(next).await;
    }
}

/// The failure is in the log.
struct Failed;

/// Logs the failure.
fn failed<E: Debug>(what: &'static str) -> impl FnOnce(E) -> Failed {
    move |error| {
        defmt::error!("{=str}: {}", what, defmt::Debug2Format(&error));
        Failed
    }
}

async fn report(
    stack: Stack<'_>,
    settings: &Settings<'_>,
    random: &mut ChaCha20Rng,
    room: &mut Room,
) -> Result<(), Failed> {
    let now = network::time(stack).await.ok_or("no answer").map_err(failed("the time"))?;
    let report = Report::new(settings, now).map_err(failed("the report"))?;
    let message = report.message().map_err(failed("the message"))?;
    let envelope = report.envelope().map_err(failed("the envelope"))?;
    let credentials = settings.credentials().map_err(failed("the login"))?;
    let ca = CertificateDer::from(settings.ca);
    let anchors = [anchor(&ca).map_err(failed("the CA"))?];
    let mut readings = report.readings();
    let readings = |_, buffer: &mut [u8]| readings.read(buffer).map_err(|_| Unreadable);

    let address = network::resolve(stack, settings.host).await;
    let address = address.ok_or("no address").map_err(failed("the server's name"))?;
    let mut socket = TcpSocket::new(stack, room.received, room.to_send);
    // Each write is complete, and Nagle's algorithm would delay it.
    socket.set_nagle_enabled(false);
    let connect = socket.connect(IpEndpoint::new(address, settings.port)).with_timeout(PATIENCE);
    connect.await.map_err(failed("the connection"))?.map_err(failed("the connection"))?;

    let mut tls = ClientTls::new(settings.name, &anchors, || Some(now), random, room.records);
    let how =
        starttls_embedded::Settings::new().with_domain(Report::NAME).with_credentials(&credentials);
    let mut mailer = Mailer::new(&mut socket, &mut tls, room.buffers, Delay).with(how);
    let sent = mailer.send_async(&envelope, Composed::with_files(&message, readings)).await;
    socket.close();
    let _ = socket.flush().with_timeout(PATIENCE).await;
    sent.map_err(failed("the mail"))?;
    defmt::info!("the server accepted the mail");
    Ok(())
}
