//! A TLS stream that is read and written at the same time.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::common::{Identity, listen, quick, read_to};
use starttls::smtp::{self, Domain};
use starttls::{Policy, server};
use starttls_std::{ClientStream, ServerStream, accept, connect, split, upgrade};

fn client(identity: &Identity, port: u16) -> ClientStream {
    let stream = connect(("localhost", port), &quick()).expect("connected");
    let client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    upgrade(stream, client, &identity.client, "localhost").expect("upgraded")
}

fn served<T: Send + 'static>(
    identity: &Identity,
    serve: impl FnOnce(ServerStream) -> T + Send + 'static,
) -> (u16, thread::JoinHandle<T>) {
    let tls = Arc::clone(&identity.server);
    listen(move |stream| {
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        serve(accept(stream, server, &tls).expect("upgraded"))
    })
}

#[test]
fn both_directions_are_full_at_once() {
    /// More than all buffers on the way hold. A peer that reads only after writing would wait forever.
    const MUCH: usize = 16 << 20;
    let identity = Identity::new();
    let write_then_read = |read: &mut (dyn Read + Send), write: &mut (dyn Write + Send)| {
        thread::scope(|scope| {
            scope.spawn(|| write.write_all(&vec![b'x'; MUCH]).expect("written"));
            let mut all = vec![0; MUCH];
            read.read_exact(&mut all).expect("read");
            assert!(all.iter().all(|octet| *octet == b'x'));
        });
    };
    let (port, server) = served(&identity, move |stream| {
        let (mut read, mut write) = split(stream).expect("split");
        write_then_read(&mut read, &mut write);
        write.finish().expect("a goodbye");
        assert_eq!(read.read(&mut [0]).expect("an end"), 0);
    });
    let (mut read, mut write) = split(client(&identity, port)).expect("split");
    write_then_read(&mut read, &mut write);
    write.finish().expect("a goodbye");
    assert_eq!(read.read(&mut [0]).expect("an end"), 0);
    server.join().expect("no panic");
}

#[test]
fn one_direction_ends_before_the_other() {
    let identity = Identity::new();
    let (port, server) = served(&identity, |stream| {
        let (mut read, mut write) = split(stream).expect("split");
        let mut all = Vec::new();
        read.read_to_end(&mut all).expect("an end");
        write.write_all(&all).expect("written");
        write.finish().expect("a goodbye");
    });
    let (mut read, mut write) = split(client(&identity, port)).expect("split");
    write.write_all(b"all of it").expect("written");
    write.finish().expect("a goodbye");
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).expect("an end");
    assert_eq!(answer, b"all of it");
    server.join().expect("no panic");
}

#[test]
fn an_end_without_close_notify_is_an_error() {
    let identity = Identity::new();
    let (port, server) = served(&identity, |mut stream| {
        read_to(&mut stream, b"\n").expect("a line");
        stream.write_all(b"half of").expect("written");
        stream.sock.shutdown(std::net::Shutdown::Both).expect("closed");
    });
    let (mut read, mut write) = split(client(&identity, port)).expect("split");
    write.write_all(b"\n").expect("written");
    let mut answer = Vec::new();
    let error = read.read_to_end(&mut answer).expect_err("cut off");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(answer, b"half of");
    server.join().expect("no panic");
}

/// A reader sends the alert that explains its failure if the network accepts it, and does not wait for that.
#[test]
fn reading_does_not_wait_for_writing() {
    let identity = Identity::new();
    let (go, may_go) = std::sync::mpsc::channel();
    let (port, server) = served(&identity, move |mut stream| {
        stream.write_all(b"up\n").expect("written");
        may_go.recv().expect("the handshake is over");
        // Until the network accepts nothing more.
        stream.sock.set_nonblocking(true).expect("a socket");
        while stream.sock.write(&[0; 4096]).is_ok() {}
        stream.sock.set_nonblocking(false).expect("a socket");
        let (mut read, _write) = split(stream).expect("split");
        read.read(&mut [0]).expect_err("no TLS").kind()
    });
    let mut client = client(&identity, port);
    read_to(&mut client, b"\n").expect("a line");
    go.send(()).expect("the peer waits");
    client
        .sock
        .write_all(&[23, 3, 3, 0, 17].into_iter().chain([7; 17]).collect::<Vec<_>>())
        .expect("written");
    let (done, is_done) = std::sync::mpsc::channel();
    thread::spawn(move || done.send(server.join()));
    let ended = is_done
        .recv_timeout(Duration::from_secs(20))
        .expect("the reader must not wait for the network");
    assert_eq!(ended.expect("no panic"), ErrorKind::InvalidData);
    drop(client);
}
