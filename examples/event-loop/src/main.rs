//! A mail server and its clients, all connections in one thread: see the README.

mod client;
mod link;
mod post;
mod server;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use starttls_rustls::ClientTls;

use crate::link::{Failure, Link, Peer, unless_blocked};
use crate::post::Post;

/// Sends mails to itself, with STARTTLS, over many connections in one thread.
#[derive(Parser)]
struct Args {
    /// The number of mails to send.
    #[arg(long, default_value_t = 100)]
    mails: usize,
    /// The number of connections; all are open before the first mail is sent.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
}

const LISTENER: Token = Token(0);

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let connections = usize::from(args.connections);
    // Two sockets per connection, because both ends are in this process.
    rlimit::increase_nofile_limit(2 * u64::from(args.connections) + 64)?;
    let (server_tls, client_tls) = certify()?;
    let post = Post { mails: args.mails, ..Post::default() };
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut peers: HashMap<Token, Box<dyn Peer + '_>> = HashMap::new();
    let (address, mut connected, mut accepted) = (listener.local_addr()?, 0, 0);
    let mut events = Events::with_capacity(1024);
    while connected < connections || !peers.is_empty() {
        // A listener's backlog is short.
        while connected < connections.min(accepted + 64) {
            connected += 1;
            let socket = register(&poll, Token(connected), TcpStream::connect(address)?)?;
            let peer = Link::boxed(socket, client::connection(&client_tls, &post));
            peers.insert(Token(connected), peer);
        }
        let now = Instant::now();
        peers.retain(|_, peer| peer.deadline().is_none_or(|end| now < end) || peer.go_on());
        let end = peers.values().filter_map(|peer| peer.deadline()).min();
        poll.poll(&mut events, end.map(|end| end.saturating_duration_since(now)))?;
        for token in events.iter().map(mio::event::Event::token) {
            if token == LISTENER {
                while let Some((socket, _)) = unless_blocked(listener.accept())? {
                    accepted += 1;
                    let token = Token(connections + accepted);
                    let socket = register(&poll, token, socket)?;
                    let peer = Link::boxed(socket, server::connection(&server_tls, &post));
                    peers.insert(token, peer);
                }
            } else if peers.get_mut(&token).is_some_and(|peer| !peer.go_on()) {
                peers.remove(&token);
            }
        }
        let clients = peers.keys().filter(|token| token.0 <= connections).count();
        if connected == connections && post.up.get() >= clients && !post.begun.replace(true) {
            peers.retain(|_, peer| peer.go_on());
        }
    }
    let (arrived, sent, up) = (post.arrived.borrow().len(), post.sent.get(), post.up.get());
    println!("{arrived} of {} mails arrived unchanged, {up} connections at once", args.mails);
    if arrived == args.mails && sent == arrived { Ok(()) } else { Err("mail was lost".into()) }
}

fn register(poll: &Poll, token: Token, mut socket: TcpStream) -> Result<TcpStream, Failure> {
    socket.set_nodelay(true)?;
    poll.registry().register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(socket)
}

/// A new certificate, and clients that trust only it.
fn certify() -> Result<(Arc<ServerConfig>, ClientTls), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = identity.cert.der();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], identity.signing_key.into())?;
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok((Arc::new(server), ClientTls::new(Arc::new(client))))
}
