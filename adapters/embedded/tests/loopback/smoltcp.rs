//! Two stacks of smoltcp in two threads, joined by a wire.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Instant as Clock;

use ::smoltcp::iface::{Config, Interface, SocketSet};
use ::smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use ::smoltcp::socket::tcp::{Socket, SocketBuffer};
use ::smoltcp::time::Instant;
use ::smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use embedded_hal::delay::DelayNs;
use embedded_io::{Read, ReadReady, Write};
use rand_core::OsRng;
use starttls::smtp::{Client, Domain, Server};
use starttls::{Error as Rule, Policy, Tls, server};
use starttls_embedded::Accept as _;
use starttls_embedded::embedded_tls::{ClientTls, Records};
use starttls_embedded::rustls::{Error, ServerTls};
use starttls_embedded::smoltcp::{Error as SocketError, TcpSocket};
use starttls_embedded::{Buffers, Stream, Timer, Unbounded, Upgraded, accept, upgrade, verify};

use crate::common::{Identity, now};

/// One end of the wire.
struct Wire {
    out: Sender<Vec<u8>>,
    into: Receiver<Vec<u8>>,
}

fn wire() -> [Wire; 2] {
    let ((a_out, b_into), (b_out, a_into)) = (channel(), channel());
    [Wire { out: a_out, into: a_into }, Wire { out: b_out, into: b_into }]
}

struct Packet(Vec<u8>);

impl RxToken for Packet {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct End<'w>(&'w Sender<Vec<u8>>);

impl TxToken for End<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let value = f(&mut packet);
        // The other end may be gone.
        let _ = self.0.send(packet);
        value
    }
}

impl Device for Wire {
    type RxToken<'a> = Packet;
    type TxToken<'a> = End<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Packet, End<'_>)> {
        Some((Packet(self.into.try_recv().ok()?), End(&self.out)))
    }

    fn transmit(&mut self, _: Instant) -> Option<End<'_>> {
        Some(End(&self.out))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}

const fn address(host: u8) -> IpAddress {
    IpAddress::v4(192, 0, 2, host)
}

/// Runs a separate stack with one TCP socket.
fn with_stack<T>(
    wire: Wire,
    host: u8,
    run: impl FnOnce(&mut TcpSocket<'_, '_, Wire, &mut dyn FnMut() -> Instant>) -> T,
) -> T {
    with_fast_stack(wire, host, 1, run)
}

/// The same with time that runs faster by this factor.
fn with_fast_stack<T>(
    mut wire: Wire,
    host: u8,
    speed: u128,
    run: impl FnOnce(&mut TcpSocket<'_, '_, Wire, &mut dyn FnMut() -> Instant>) -> T,
) -> T {
    let start = Clock::now();
    let mut now =
        || Instant::from_micros(i64::try_from(start.elapsed().as_micros() * speed).expect("soon"));
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut wire, now());
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(address(host), 24)).expect("room");
    });
    let mut sockets = SocketSet::new(Vec::new());
    let buffer = || SocketBuffer::new(vec![0; 1024]);
    let handle = sockets.add(Socket::new(buffer(), buffer()));
    run(&mut TcpSocket::new(&mut interface, &mut wire, &mut sockets, handle, &mut now))
}

/// A clock that advances without waiting.
struct Quick;

impl DelayNs for Quick {
    fn delay_ns(&mut self, _: u32) {}
}

#[test]
fn both_roles_and_an_echo() {
    let identity = Identity::new();
    let [ours, theirs] = wire();
    let mut server_tls = ServerTls::new(Arc::clone(&identity.server));
    let server = thread::spawn(move || {
        with_stack(theirs, 2, |socket| {
            socket.accept(587).expect("a port");
            let server = Server::new(Domain::LOCALHOST, server::Config::default());
            let mut timer = Timer::new(Unbounded);
            let Upgraded { mut stream, tls, .. } = accept(
                socket,
                server,
                &mut server_tls,
                &mut Buffers::<1200, 600>::new(),
                &mut timer,
            )
            .expect("TLS");
            let mut octets = [0; 5];
            stream.read_exact(&mut octets).expect("bytes");
            stream.write_all(&octets).expect("room");
            stream.close().expect("goodbye");
            socket.close();
            tls
        })
    });
    with_stack(ours, 1, |socket| {
        socket.connect((address(2), 587), 49152).expect("a server");
        let client = Client::new(Domain::LOCALHOST, Policy::Required);
        let anchors = [verify::anchor(identity.authority.der()).expect("an authority")];
        let mut records = Box::new(Records::<4096, 512>::new());
        let mut tls = ClientTls::new("localhost", &anchors, now, OsRng, &mut records);
        let mut timer = Timer::new(Unbounded);
        let Upgraded { mut stream, .. } =
            upgrade(socket, client, &mut tls, &mut Buffers::<512, 64>::new(), &mut timer)
                .expect("TLS");
        stream.write_all(b"hello").expect("room");
        stream.flush().expect("room");
        let mut octets = [0; 10];
        assert_eq!(stream.read(&mut octets).expect("bytes"), 5);
        assert_eq!(&octets[..5], b"hello");
        assert_eq!(stream.read(&mut octets).expect("the end"), 0);
        stream.close().expect("goodbye");
        socket.close();
    });
    let tls: Tls = server.join().expect("no panic");
    assert!(!tls.is_implicit());
}

#[test]
fn a_refused_connection() {
    let [ours, theirs] = wire();
    let (done, wait) = channel::<()>();
    let server = thread::spawn(move || {
        with_stack(theirs, 2, |socket| {
            while wait.try_recv() == Err(TryRecvError::Empty) {
                socket.read_ready().expect("no connection");
            }
        });
    });
    with_stack(ours, 1, |socket| {
        assert_eq!(socket.connect((address(2), 25), 49152), Err(SocketError::Unreachable));
    });
    drop(done);
    server.join().expect("no panic");
}

#[test]
fn a_silent_server_times_out() {
    let [ours, theirs] = wire();
    let (done, wait) = channel();
    let server = thread::spawn(move || {
        with_stack(theirs, 2, |socket| {
            socket.accept(587).expect("a port");
            wait.recv().expect("a client");
            socket.abort();
        });
    });
    with_stack(ours, 1, |socket| {
        socket.connect((address(2), 587), 49152).expect("a server");
        let client = Client::new(Domain::LOCALHOST, Policy::Required);
        let mut records = Box::new(Records::<1024, 512>::new());
        let mut tls = ClientTls::dangerous_without_verification("localhost", OsRng, &mut records);
        let mut timer = Timer::new(Quick);
        let failed = upgrade(socket, client, &mut tls, &mut Buffers::<512, 64>::new(), &mut timer);
        assert_eq!(failed.err().and_then(|error| error.protocol()), Some(Rule::TimedOut));
        done.send(()).expect("a server");
    });
    server.join().expect("no panic");
}

/// A client that does not complete the TCP handshake does not block others.
#[test]
fn a_half_open_client_times_out() {
    const FAST: u128 = 1000;
    // Only the first packet of a client.
    let [caller, spy] = wire();
    with_fast_stack(caller, 3, FAST, |socket| {
        assert_eq!(socket.connect((address(2), 587), 49153), Err(SocketError::Unreachable));
    });
    let call = spy.into.recv().expect("a call");

    let [ours, theirs] = wire();
    ours.out.send(call).expect("a wire");
    let server = thread::spawn(move || {
        with_fast_stack(theirs, 2, FAST, |socket| {
            socket.accept(587).expect("a port");
            let mut octet = [0];
            socket.read(&mut octet).expect("a byte");
            octet
        })
    });
    with_stack(ours, 1, |socket| {
        while socket.connect((address(2), 587), 49152).is_err() {}
        socket.write_all(b"x").expect("room");
        socket.close();
    });
    assert_eq!(server.join().expect("no panic"), *b"x");
}

/// A socket that receives nothing.
struct Silent;

impl embedded_io::ErrorType for Silent {
    type Error = embedded_io::ErrorKind;
}

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(0)
    }
}

impl Write for Silent {
    fn write(&mut self, octets: &[u8]) -> Result<usize, Self::Error> {
        Ok(octets.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The client's bytes before the handshake reach TLS all together or not at all.
#[test]
fn early_bytes_that_do_not_fit_are_an_error() {
    let identity = Identity::new();
    let mut tls = ServerTls::new(Arc::clone(&identity.server));
    let accepted = tls.accept(Silent, &[0x16; 1 << 20]);
    let expected = Error::Tls(starttls_rustls::Error::MessageTooLong);
    assert_eq!(accepted.err(), Some(expected));
}
