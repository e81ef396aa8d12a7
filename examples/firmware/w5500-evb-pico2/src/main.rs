//! The sensor's daily mail from a commercial board: WIZnet's W5500-EVB-Pico2, an RP2350 with an
//! Ethernet controller; over embassy and embedded-tls, without a heap.

#![no_std]
#![no_main]

use defmt_rtt as _;
use panic_probe as _;

mod network;

use core::fmt::Debug;

use embassy_executor::Spawner;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpEndpoint, Stack};
use embassy_rp::bind_interrupts;
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, TRNG};
use embassy_rp::trng::{self, Trng};
use embassy_time::{Delay, Duration, Timer, WithTimeout as _};
use embedded_io::Read as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use rustls_pki_types::CertificateDer;
use sensor::{Report, Settings};
use starttls_embedded::embedded_tls::{ClientTls, Records};
use starttls_embedded::verify::anchor;
use starttls_embedded::{Buffers, Composed, Mailer, Unreadable};
use static_cell::ConstStaticCell;

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => embassy_rp::dma::InterruptHandler<DMA_CH0>, embassy_rp::dma::InterruptHandler<DMA_CH1>;
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
});

/// The page of flash written by the factory, at the address in `memory.x`; `../settings` makes one.
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
    received: [u8; 2048],
    to_send: [u8; 2048],
    buffers: Buffers<512, 256>,
    records: Records,
}

static ROOM: ConstStaticCell<Room> = ConstStaticCell::new(Room {
    received: [0; 2048],
    to_send: [0; 2048],
    buffers: Buffers::new(),
    records: Records::new(),
});

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let mut seed = [0; 32];
    Trng::new(chip.TRNG, Irqs, trng::Config::default()).fill_bytes(&mut seed).await;
    let mut random = ChaCha20Rng::from_seed(seed);
    let settings = Settings::parse(&_settings).expect("the factory wrote the settings");
    let pins = network::Pins {
        spi: chip.SPI0,
        clock: chip.PIN_18,
        mosi: chip.PIN_19,
        miso: chip.PIN_16,
        select: chip.PIN_17,
        interrupt: chip.PIN_21,
        reset: chip.PIN_20,
        dma: (chip.DMA_CH0, chip.DMA_CH1),
    };
    let stack = network::start(spawner, pins, random.next_u64()).await;
    let room = ROOM.take();
    loop {
        stack.wait_config_up().await;
        let next = match daily(stack, &settings, &mut random, room).await {
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

async fn daily(
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
    let mut socket = TcpSocket::new(stack, &mut room.received, &mut room.to_send);
    // Each write is complete, and Nagle's algorithm would delay it.
    socket.set_nagle_enabled(false);
    let connect = socket.connect(IpEndpoint::new(address, settings.port)).with_timeout(PATIENCE);
    connect.await.map_err(failed("the connection"))?.map_err(failed("the connection"))?;

    let mut tls = ClientTls::new(settings.name, &anchors, || Some(now), random, &mut room.records);
    let how =
        starttls_embedded::Settings::new().with_domain(Report::NAME).with_credentials(&credentials);
    let mut mailer = Mailer::new(&mut socket, &mut tls, &mut room.buffers, Delay).with(how);
    let sent = mailer.send_async(&envelope, Composed::with_files(&message, readings)).await;
    socket.close();
    let _ = socket.flush().with_timeout(PATIENCE).await;
    sent.map_err(failed("the mail"))?;
    defmt::info!("the server accepted the mail");
    Ok(())
}
