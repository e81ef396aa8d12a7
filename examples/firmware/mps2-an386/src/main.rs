//! A sensor's daily mail, from a Cortex-M4F, over embassy and rustls.

#![no_std]
#![no_main]

extern crate alloc;

mod clock;
mod executor;
mod heap;
mod interrupt;
mod lan9118;
mod post;
mod random;
mod register;
mod tls;

use core::net::Ipv4Addr;

use defmt::Display2Format;
use embassy_executor::Spawner;
use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, IpAddress, Runner, Stack, StackResources};
use embassy_time::{Duration, WithTimeout as _};
use lan9118::Lan9118;
use sensor::{Exit, Settings};
use static_cell::StaticCell;

/// The sockets for DHCP, DNS and the mail.
const SOCKETS: usize = 3;

/// The timeout for an address, and for a connection.
const PATIENCE: Duration = Duration::from_secs(20);

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    heap::start();
    random::start(emulator::seed());
    executor::run(|spawner| spawner.spawn(daily(spawner).expect("one daily task")))
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Lan9118>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn daily(spawner: Spawner) -> ! {
    let exit = run(spawner).await.map_or_else(|exit| exit, |()| Exit::Accepted);
    meter::print();
    match exit {
        Exit::Accepted => defmt::info!("{=istr}", exit.text()),
        _ => defmt::error!("{=istr}", exit.text()),
    }
    emulator::exit(exit)
}

async fn run(spawner: Spawner) -> Result<(), Exit> {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    let settings = Settings::parse(emulator::settings()).map_err(|error| {
        defmt::warn!("{}", error);
        Exit::Settings
    })?;
    let now = settings.time.unwrap_or_else(emulator::now);
    let tls = tls::client(&settings, now)?;

    let resources = RESOURCES.init(StackResources::new());
    let config = Config::dhcpv4(Default::default());
    let seed = u64::from_le_bytes(random::octets());
    let (stack, runner) = embassy_net::new(Lan9118::new(), config, resources, seed);
    spawner.spawn(network(runner).map_err(|_| Exit::Ours)?);
    stack.wait_config_up().with_timeout(PATIENCE).await.map_err(|_| Exit::NoAddress)?;
    let address = resolve(stack, settings.host).await.ok_or(Exit::NoHost)?;

    let (mut received, mut to_send) = ([0; 2048], [0; 2048]);
    let mut socket = TcpSocket::new(stack, &mut received, &mut to_send);
    // Each write is complete, and Nagle's algorithm would delay it.
    socket.set_nagle_enabled(false);
    defmt::info!("connecting to {}:{=u16}", Display2Format(&address), settings.port);
    let connect = socket.connect((address, settings.port)).with_timeout(PATIENCE);
    connect.await.ok().and_then(Result::ok).ok_or(Exit::NoConnection)?;
    let sent = post::send(&settings, &mut socket, tls, now).await;
    socket.close();
    let _ = socket.flush().with_timeout(PATIENCE).await;
    sent
}

/// Resolves a name; an address is returned unchanged.
async fn resolve(stack: Stack<'_>, host: &str) -> Option<IpAddress> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(address.into());
    }
    let query = stack.dns_query(host, DnsQueryType::A).with_timeout(PATIENCE);
    query.await.ok()?.ok()?.first().copied()
}
