//! Every protocol upgraded to TLS, in both roles, by the same two calls.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::server::{Config, Grammar};
use starttls::{
    Client, Introduction, Policy, Roles, Server, client, ftp, imap, irc, nntp, nut, pop3,
};
use starttls_std::{Driver, Observer, accept, accept_or_plaintext, connect, upgrade};

use crate::common::{Identity, listen, quick, read_to};

const IRC_NAME: irc::Name<'static> = match irc::Name::new("irc.example.org") {
    Ok(name) => name,
    Err(_) => panic!(),
};

fn meet<C: client::Grammar, S: Grammar + 'static>(client: Client<C>, server: Server<S>)
where
    Server<S>: Send,
{
    let identity = Identity::new();
    let mut tls = ServerConfig::clone(&identity.server);
    tls.alpn_protocols.extend(C::PROTOCOL.alpn.map(<[u8]>::to_vec));
    let tls = Arc::new(tls);
    let (port, thread) = listen(move |stream| {
        let mut stream = accept(stream, server, &tls).expect("accepted");
        stream.write_all(b"pong\n").expect("written");
        read_to(&mut stream, b"\n").expect("a line")
    });
    let stream = connect(("localhost", port), &quick()).expect("connected");
    let mut stream = upgrade(stream, client, &identity.client, "localhost").expect("upgraded");
    assert_eq!(stream.conn.alpn_protocol(), C::PROTOCOL.alpn, "{}", C::PROTOCOL.name);
    stream.write_all(b"ping\n").expect("written");
    assert_eq!(read_to(&mut stream, b"\n").expect("a line"), b"pong\n");
    assert_eq!(thread.join().expect("no panic"), b"ping\n");
}

macro_rules! meet_all {
    ([] $($module:ident::$Type:ident,)*) => {
        $(meet_by_name::<starttls::$module::$Type>();)*
    };
}

fn meet_by_name<P: Roles>()
where
    Server<P::Server<'static>>: Send,
{
    let names = Introduction::new("im.example.org", *b"abcdefghijklmnopqrst");
    let client = P::client(&names, Policy::Required).expect("names");
    meet(client, P::server(&names, Config::default()).expect("names"));
}

#[test]
fn every_protocol_upgrades() {
    starttls::for_each_protocol!(meet_all []);
}

/// What the observer sees of a client.
#[derive(Default)]
struct Seen(Vec<u8>);

impl Observer for Seen {
    fn received(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    fn credential(&mut self, octets: usize) {
        self.0.extend_from_slice(format!("{octets}\n").as_bytes());
    }
}

fn seen<S: Grammar>(server: Server<S>, said: &'static [u8]) -> String {
    let identity = Identity::new();
    let (port, thread) = listen(move |mut stream: TcpStream| {
        stream.write_all(said).expect("written");
        let _ = read_to(&mut stream, b"never");
    });
    let mut seen = Seen::default();
    let stream = connect(("localhost", port), &quick()).expect("connected");
    let driver = Driver::new(stream, quick(), &mut seen);
    let _ = accept_or_plaintext(driver, server, &identity.server);
    thread.join().expect("no panic");
    String::from_utf8(seen.0).expect("ASCII")
}

#[test]
fn an_observer_sees_no_credential() {
    for policy in [Policy::Required, Policy::Opportunistic] {
        let config = Config::default().with_policy(policy);
        for (seen, expected) in [
            (
                seen(imap::Server::new(config), b"a NOOP\r\nb login me secret\r\nc LOGOUT\r\n"),
                "a NOOP\r\n19\nc LOGOUT\r\n",
            ),
            (
                seen(pop3::Server::new(config), b"USER me\r\nPASS secret\r\nQUIT\r\n"),
                "9\n13\nQUIT\r\n",
            ),
            (
                seen(ftp::Server::new(config), b"USER me\r\nPASS secret\r\nQUIT\r\n"),
                "9\n13\nQUIT\r\n",
            ),
            (seen(nntp::Server::new(config), b"AUTHINFO PASS secret\r\nQUIT\r\n"), "22\nQUIT\r\n"),
            (seen(irc::Server::new(IRC_NAME, config), b"PASS secret\r\nQUIT\r\n"), "13\nQUIT\r\n"),
            (seen(nntp::Server::new(config), b"AUTHINF PASS secret\r\nQUIT\r\n"), "21\nQUIT\r\n"),
            (seen(irc::Server::new(IRC_NAME, config), b"PASSWORD\tx\r\nQUIT\r\n"), "12\nQUIT\r\n"),
            (seen(nut::Server::new(config), b"PASSWORD secret\nLOGOUT\n"), "16\nLOGOUT\n"),
        ] {
            assert_eq!(seen, expected, "{policy:?}");
        }
    }
}
