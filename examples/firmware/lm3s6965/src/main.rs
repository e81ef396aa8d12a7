//! A sensor's daily mail, from a Cortex-M3 with 256 KiB of flash and 64 KiB of RAM and no heap.

#![no_std]
#![no_main]

mod clock;
mod ethernet;
mod network;

use core::time::Duration;

use embedded_io::{Error as _, ErrorKind, Read as _};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use rustls_pki_types::CertificateDer;
use sensor::{Exit, Report, Settings};
use smoltcp::iface::SocketStorage;
use smoltcp::socket::dns::DnsQuery;
use starttls::ArgumentError;
use starttls::mail::session::Event;
use starttls_embedded::embedded_tls::{ClientTls, Error as TlsError, Records};
use starttls_embedded::verify::{Problem, anchor};
use starttls_embedded::{Buffers, Composed, Mailer, Unreadable};
use static_cell::{ConstStaticCell, StaticCell};

use crate::ethernet::Ethernet;
use crate::network::{Network, Socket};

/// The Ethernet address. A product has a unique one: the manufacturer's prefix and a number.
const ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 7];

static ETHERNET: StaticCell<Ethernet> = StaticCell::new();
static SOCKETS: StaticCell<[SocketStorage<'static>; 2]> = StaticCell::new();
static QUERIES: StaticCell<[Option<DnsQuery>; 1]> = StaticCell::new();
static RECEIVED: ConstStaticCell<[u8; 1536]> = ConstStaticCell::new([0; 1536]);
static SENT: ConstStaticCell<[u8; 1536]> = ConstStaticCell::new([0; 1536]);
static BUFFERS: ConstStaticCell<Buffers<512, 256>> = ConstStaticCell::new(Buffers::new());
static RECORDS: ConstStaticCell<Records> = ConstStaticCell::new(Records::new());

#[cortex_m_rt::entry]
fn main() -> ! {
    let exit = run().err().unwrap_or(Exit::Accepted);
    meter::print();
    match exit {
        Exit::Accepted => defmt::info!("{=istr}", exit.text()),
        _ => defmt::error!("{=istr}", exit.text()),
    }
    emulator::exit(exit)
}

fn run() -> Result<(), Exit> {
    if let Some(core) = cortex_m::Peripherals::take() {
        clock::start(core.SYST);
    }
    let settings = Settings::parse(emulator::settings()).map_err(|error| {
        defmt::warn!("{}", error);
        Exit::Settings
    })?;
    let mut random = ChaCha20Rng::from_seed(emulator::seed());

    let sockets = SOCKETS.init([SocketStorage::EMPTY; 2]);
    let device = ETHERNET.init_with(|| Ethernet::new(ADDRESS));
    let mut network = Network::start(device, sockets, ADDRESS, random.next_u64())?;
    let address = network.resolve(settings.host, QUERIES.init([None]))?;
    let [a, b, c, d] = address.octets();
    defmt::info!("connecting to {=u8}.{=u8}.{=u8}.{=u8}:{=u16}", a, b, c, d, settings.port);
    let mut socket = network.connect(
        (address, settings.port),
        (RECEIVED.take(), SENT.take()),
        random.next_u32() as u16,
    )?;
    let sent = send(&settings, &mut socket, random);
    socket.close();
    sent
}

/// The mail, over a connection that has just begun.
fn send(
    settings: &Settings<'_>,
    socket: &mut Socket<'_, '_>,
    random: ChaCha20Rng,
) -> Result<(), Exit> {
    let now = settings.time.unwrap_or_else(emulator::now);
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

    let ca = CertificateDer::from_slice(settings.ca);
    let anchors = [anchor(&ca).map_err(|problem| {
        defmt::warn!("{}", problem);
        Exit::Settings
    })?];
    let mut tls = ClientTls::new(settings.name, &anchors, || Some(now), random, RECORDS.take());
    let mut how =
        starttls_embedded::Settings::new().with_domain(Report::NAME).with_credentials(&credentials);
    if let Some(patience) = settings.patience {
        how = how.with_max_wait(Duration::from_secs(patience.into()));
    }
    let mut watch = |event: &Event<'_>| {
        if matches!(event, Event::Done(_)) {
            meter::AWAKE.set(clock::awake());
        }
    };
    let mailer = Mailer::new(socket, &mut tls, BUFFERS.take(), clock::Delay);
    let mut mailer = mailer.with(how).watched_by(&mut watch);
    let sent = mailer.send(&envelope, Composed::with_files(&message, readings));
    sent.map(|_| ()).map_err(|error| {
        defmt::warn!("{}", error);
        Exit::of(&error, mailer.fate(), tls_exit)
    })
}

fn tls_exit(error: &TlsError) -> Exit {
    match error {
        TlsError::Certificate(Problem::UnknownIssuer | Problem::CertificateSignature) => {
            Exit::UnknownIssuer
        }
        TlsError::Certificate(Problem::WrongName) => Exit::WrongName,
        TlsError::Certificate(Problem::Expired) => Exit::Expired,
        TlsError::Certificate(Problem::NotYetValid) => Exit::NotYetValid,
        TlsError::Tls(_) => match error.kind() {
            ErrorKind::TimedOut => Exit::TimedOut,
            ErrorKind::Other => Exit::Tls,
            _ => Exit::Closed,
        },
        _ => Exit::Tls,
    }
}
