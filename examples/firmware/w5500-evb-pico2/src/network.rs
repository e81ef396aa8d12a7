//! The network: the W5500 on its pins, embassy-net, the time by SNTP.

use core::net::Ipv4Addr;

use embassy_executor::Spawner;
use embassy_net::dns::DnsQueryType;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, IpAddress, Stack, StackResources};
use embassy_net_wiznet::chip::W5500;
use embassy_net_wiznet::{Device, Runner, State};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{
    DMA_CH0, DMA_CH1, PIN_16, PIN_17, PIN_18, PIN_19, PIN_20, PIN_21, SPI0,
};
use embassy_rp::spi::{self, Async, Spi};
use embassy_rp::{Peri, otp};
use embassy_time::{Delay, Duration, WithTimeout as _};
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::StaticCell;

use crate::Irqs;

/// The time server. A product uses a server that its maker controls.
const TIME_SERVER: &str = "pool.ntp.org";

/// The timeout for an answer of DNS, or of the time server.
const PATIENCE: Duration = Duration::from_secs(10);

/// The seconds from 1900, where NTP begins, to 1970.
const FROM_1900: u64 = 2_208_988_800;

/// The controller's pins on this board.
pub struct Pins {
    pub spi: Peri<'static, SPI0>,
    pub clock: Peri<'static, PIN_18>,
    pub mosi: Peri<'static, PIN_19>,
    pub miso: Peri<'static, PIN_16>,
    pub select: Peri<'static, PIN_17>,
    pub interrupt: Peri<'static, PIN_21>,
    pub reset: Peri<'static, PIN_20>,
    pub dma: (Peri<'static, DMA_CH0>, Peri<'static, DMA_CH1>),
}

type Bus = ExclusiveDevice<Spi<'static, SPI0, Async>, Output<'static>, Delay>;

#[embassy_executor::task]
async fn controller(runner: Runner<'static, W5500, Bus, Input<'static>, Output<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn stack(mut runner: embassy_net::Runner<'static, Device<'static>>) -> ! {
    runner.run().await
}

/// Starts the controller, and requests an address by DHCP. `seed` makes sequence numbers and ports hard
/// to guess.
pub async fn start(spawner: Spawner, pins: Pins, seed: u64) -> Stack<'static> {
    static STATE: StaticCell<State<4, 4>> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();

    let mut config = spi::Config::default();
    config.frequency = 50_000_000;
    let Pins { spi, clock, mosi, miso, select, interrupt, reset, dma } = pins;
    let spi = Spi::new(spi, clock, mosi, miso, dma.0, dma.1, Irqs, config);
    let bus = ExclusiveDevice::new(spi, Output::new(select, Level::High), Delay);
    let (device, runner) = embassy_net_wiznet::new(
        address(),
        STATE.init(State::new()),
        bus.expect("a pin cannot fail"),
        Input::new(interrupt, Pull::Up),
        Output::new(reset, Level::High),
    )
    .await
    .expect("the controller responds");
    spawner.spawn(controller(runner).expect("one controller"));

    let resources = RESOURCES.init(StackResources::new());
    let config = Config::dhcpv4(Default::default());
    let (network, runner) = embassy_net::new(device, config, resources, seed);
    spawner.spawn(stack(runner).expect("one stack"));
    network
}

/// A locally administered Ethernet address, derived from the chip's unique number.
fn address() -> [u8; 6] {
    let [.., a, b, c, d, e] = otp::get_chipid().unwrap_or_default().to_be_bytes();
    [0x02, a, b, c, d, e]
}

/// Resolves a name; an address is returned unchanged.
pub async fn resolve(stack: Stack<'_>, host: &str) -> Option<IpAddress> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(address.into());
    }
    let query = stack.dns_query(host, DnsQueryType::A).with_timeout(PATIENCE);
    query.await.ok()?.ok()?.first().copied()
}

/// The time by SNTP (RFC 4330), in seconds since 1970. An on-path attacker can forge it; a product
/// uses NTS, or compares with a clock with a battery.
pub async fn time(stack: Stack<'_>) -> Option<u64> {
    let server = resolve(stack, TIME_SERVER).await?;
    let (mut incoming, mut outgoing) = ([PacketMetadata::EMPTY; 1], [PacketMetadata::EMPTY; 1]);
    let (mut received, mut to_send) = ([0; 64], [0; 64]);
    let mut socket =
        UdpSocket::new(stack, &mut incoming, &mut received, &mut outgoing, &mut to_send);
    socket.bind(0).ok()?;
    // Version 4, from a client.
    let mut packet = [0; 48];
    packet[0] = 0x23;
    socket.send_to(&packet, (server, 123)).await.ok()?;
    let (_, from) = socket.recv_from(&mut packet).with_timeout(PATIENCE).await.ok()?.ok()?;
    // From the queried server: an answer in server mode, with its transmit time.
    let [mode, stratum, ..] = packet;
    if from.endpoint.addr != server || mode & 7 != 4 || stratum == 0 {
        return None;
    }
    let seconds = packet.get(40..44)?.try_into().ok()?;
    u64::from(u32::from_be_bytes(seconds)).checked_sub(FROM_1900)
}
