//! The connection to a server, on smoltcp: an address by DHCP, the server's address by DNS, TCP.

use core::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::dns::{self, DnsQuery};
use smoltcp::socket::{dhcpv4, tcp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{DnsQueryType, EthernetAddress, IpAddress, IpCidr};

use sensor::Exit;
use starttls_embedded::smoltcp::TcpSocket;

use crate::clock;
use crate::ethernet::Ethernet;

/// The timeouts for an address, for a DNS answer, and for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first port of the dynamic range (RFC 6335 §6).
const EPHEMERAL: u16 = 49152;

/// A connection. Its address is not renewed meanwhile, because a lease lasts longer.
pub type Socket<'a, 'n> = TcpSocket<'a, 'n, Ethernet, fn() -> Instant>;

/// A network with an assigned address.
pub struct Network<'n> {
    interface: Interface,
    device: &'n mut Ethernet,
    sockets: SocketSet<'n>,
    lease: SocketHandle,
    servers: Option<IpAddress>,
}

impl<'n> Network<'n> {
    /// Requests an address, a gateway and a DNS server by DHCP, and keeps renewing them. `seed` makes
    /// sequence numbers and ports hard to guess.
    pub fn start(
        device: &'n mut Ethernet,
        sockets: &'n mut [SocketStorage<'n>],
        address: [u8; 6],
        seed: u64,
    ) -> Result<Self, Exit> {
        let mut config = Config::new(EthernetAddress(address).into());
        config.random_seed = seed;
        let interface = Interface::new(config, device, clock::now());
        let mut sockets = SocketSet::new(sockets);
        let lease = sockets.add(dhcpv4::Socket::new());
        let mut network = Self { interface, device, sockets, lease, servers: None };
        network
            .until(|network| network.interface.ipv4_addr().map(|_| Ok(())))
            .unwrap_or(Err(Exit::NoAddress))?;
        Ok(network)
    }

    /// Resolves a name; an address is returned unchanged.
    pub fn resolve(
        &mut self,
        host: &str,
        queries: &'n mut [Option<DnsQuery>],
    ) -> Result<Ipv4Addr, Exit> {
        if let Ok(address) = host.parse() {
            return Ok(address);
        }
        let mut socket = dns::Socket::new(self.servers.as_slice(), queries);
        let query = socket
            .start_query(self.interface.context(), host, DnsQueryType::A)
            .map_err(|_| Exit::NoHost)?;
        let handle = self.sockets.add(socket);
        let answer = self.until(|network| {
            match network.sockets.get_mut::<dns::Socket<'_>>(handle).get_query_result(query) {
                Ok(addresses) => {
                    let first = addresses.into_iter().next();
                    Some(first.map(|IpAddress::Ipv4(address)| address).ok_or(Exit::NoHost))
                }
                Err(dns::GetQueryResultError::Pending) => None,
                Err(dns::GetQueryResultError::Failed) => Some(Err(Exit::NoHost)),
            }
        });
        self.sockets.remove(handle);
        answer.unwrap_or(Err(Exit::NoHost))
    }

    /// Connects to a server from a random port, with buffers for both directions.
    pub fn connect(
        &mut self,
        server: (Ipv4Addr, u16),
        (received, sent): (&'n mut [u8], &'n mut [u8]),
        random: u16,
    ) -> Result<Socket<'_, 'n>, Exit> {
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(received), tcp::SocketBuffer::new(sent));
        // The longest silence of the peer, from the first segment to the last.
        socket.set_timeout(Some(PATIENCE));
        let handle = self.sockets.add(socket);
        let Self { interface, device, sockets, .. } = self;
        let mut socket =
            TcpSocket::new(interface, *device, sockets, handle, clock::now as fn() -> _);
        socket.connect(server, EPHEMERAL | random).map_err(|error| {
            defmt::warn!("{}", error);
            Exit::NoConnection
        })?;
        Ok(socket)
    }

    /// Receives and sends frames.
    fn poll(&mut self) {
        self.interface.poll(clock::now(), self.device, &mut self.sockets);
        match self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.lease).poll() {
            Some(dhcpv4::Event::Configured(lease)) => {
                self.interface.update_ip_addrs(|addresses| {
                    addresses.clear();
                    let _ = addresses.push(IpCidr::Ipv4(lease.address));
                });
                if let Some(router) = lease.router {
                    let _ = self.interface.routes_mut().add_default_ipv4_route(router);
                }
                self.servers = lease.dns_servers.first().map(|server| IpAddress::Ipv4(*server));
            }
            Some(dhcpv4::Event::Deconfigured) => {
                self.interface.update_ip_addrs(|addresses| addresses.clear());
            }
            None => {}
        }
    }

    /// Polls until there is a result, or the timeout expires.
    fn until<T>(&mut self, mut outcome: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let end = clock::now() + PATIENCE;
        while clock::now() < end {
            self.poll();
            let found = outcome(self);
            if found.is_some() {
                return found;
            }
            clock::wait();
        }
        None
    }
}
