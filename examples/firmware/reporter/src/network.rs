//! The network: embassy-net, the time by SNTP.

use core::net::Ipv4Addr;

use embassy_net::dns::DnsQueryType;
use embassy_net::driver::Driver;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, IpAddress, Runner, Stack, StackResources};
use embassy_time::{Duration, WithTimeout as _};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore as _;
use static_cell::StaticCell;

/// The time server. A product uses a server that its maker controls.
const TIME_SERVER: &str = "pool.ntp.org";

/// The timeout for an answer of DNS, or of the time server.
const PATIENCE: Duration = Duration::from_secs(10);

/// The seconds from 1900, where NTP begins, to 1970.
const FROM_1900: u64 = 2_208_988_800;

/// The network over a board's controller, with an address by DHCP, and what has to run beside it.
///
/// # Panics
/// In a second call.
pub fn network<D: Driver>(
    device: D,
    random: &mut ChaCha20Rng,
) -> (Stack<'static>, Runner<'static, D>) {
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();

    let config = Config::dhcpv4(Default::default());
    // Sequence numbers and ports are hard to guess.
    embassy_net::new(device, config, RESOURCES.init(StackResources::new()), random.next_u64())
}

/// A locally administered Ethernet address, from bytes that no other board has.
#[must_use]
pub const fn address([a, b, c, d, e]: [u8; 5]) -> [u8; 6] {
    [0x02, a, b, c, d, e]
}

/// Resolves a name; an address is returned unchanged.
pub(crate) async fn resolve(stack: Stack<'_>, host: &str) -> Option<IpAddress> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(address.into());
    }
    let query = stack.dns_query(host, DnsQueryType::A).with_timeout(PATIENCE);
    query.await.ok()?.ok()?.first().copied()
}

/// The time by SNTP (RFC 4330), in seconds since 1970. An on-path attacker can forge it; a product
/// uses NTS, or compares with a clock with a battery.
pub(crate) async fn time(stack: Stack<'_>) -> Option<u64> {
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
