//! The way to a server: an address by DHCP, the server's by DNS, a connection; on smoltcp.

use core::net::Ipv4Addr;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::dns::{self, DnsQuery};
use smoltcp::socket::{dhcpv4, tcp};
use smoltcp::time::Duration;
use smoltcp::wire::{DnsQueryType, EthernetAddress, IpAddress, IpCidr};

use sensor::Exit;

use crate::clock;
use crate::ethernet::Ethernet;

/// How long to wait for an address, for an answer of DNS, and for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The least port of the range that is free for anyone (RFC 6335 §6).
const EPHEMERAL: u16 = 49152;

/// A network with an address in it.
pub struct Network<'n> {
    interface: Interface,
    device: &'n mut Ethernet,
    sockets: SocketSet<'n>,
    lease: SocketHandle,
    servers: Option<IpAddress>,
}

impl<'n> Network<'n> {
    /// Asks DHCP for an address, a gateway and a DNS server, and goes on renewing them. `seed` makes
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

    /// The address of this name; an address stands for itself.
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

    /// Connects to a server, with room for what is received and sent, from a random port.
    pub fn connect(
        &mut self,
        server: (Ipv4Addr, u16),
        (received, sent): (&'n mut [u8], &'n mut [u8]),
        random: u16,
    ) -> Result<Socket<'_, 'n>, Exit> {
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(received), tcp::SocketBuffer::new(sent));
        // Each write is a batch that the server waits for.
        socket.set_nagle_enabled(false);
        socket
            .connect(self.interface.context(), server, EPHEMERAL | random)
            .map_err(|_| Exit::NoConnection)?;
        let handle = self.sockets.add(socket);
        self.until(|network| match network.sockets.get_mut::<tcp::Socket<'_>>(handle).state() {
            tcp::State::Established => Some(Ok(())),
            tcp::State::Closed => Some(Err(Exit::NoConnection)),
            _ => None,
        })
        .unwrap_or(Err(Exit::NoConnection))?;
        Ok(Socket { network: self, handle })
    }

    /// Lets frames in and out.
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

    /// Until there is an outcome, or no more patience.
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

/// A connection. It blocks; [`ReadReady`] and [`WriteReady`] say when it would.
pub struct Socket<'a, 'n> {
    network: &'a mut Network<'n>,
    handle: SocketHandle,
}

/// The other side broke the connection off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub struct Reset;

impl core::fmt::Display for Reset {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("connection reset")
    }
}

impl core::error::Error for Reset {}

impl embedded_io::Error for Reset {
    fn kind(&self) -> ErrorKind {
        ErrorKind::ConnectionReset
    }
}

impl<'n> Socket<'_, 'n> {
    /// The socket, after what came and went.
    fn polled(&mut self) -> &mut tcp::Socket<'n> {
        self.network.poll();
        self.network.sockets.get_mut(self.handle)
    }

    /// Ends it in both directions, and waits until the other side knows.
    pub fn close(mut self) {
        self.polled().close();
        let Self { network, handle } = self;
        network.until(|network| {
            let socket = network.sockets.get_mut::<tcp::Socket<'_>>(handle);
            matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait).then_some(())
        });
    }
}

impl ErrorType for Socket<'_, '_> {
    type Error = Reset;
}

impl ReadReady for Socket<'_, '_> {
    fn read_ready(&mut self) -> Result<bool, Reset> {
        let socket = self.polled();
        Ok(socket.can_recv() || !socket.may_recv())
    }
}

impl Read for Socket<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Reset> {
        while !self.read_ready()? {
            clock::wait();
        }
        match self.polled().recv_slice(buffer) {
            Ok(n) => Ok(n),
            Err(tcp::RecvError::Finished) => Ok(0),
            Err(tcp::RecvError::InvalidState) => Err(Reset),
        }
    }
}

impl WriteReady for Socket<'_, '_> {
    fn write_ready(&mut self) -> Result<bool, Reset> {
        let socket = self.polled();
        Ok(socket.can_send() || !socket.may_send())
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, octets: &[u8]) -> Result<usize, Reset> {
        while !self.write_ready()? {
            clock::wait();
        }
        let written = self.polled().send_slice(octets).map_err(|_| Reset)?;
        self.network.poll();
        Ok(written)
    }

    fn flush(&mut self) -> Result<(), Reset> {
        self.network.poll();
        Ok(())
    }
}
