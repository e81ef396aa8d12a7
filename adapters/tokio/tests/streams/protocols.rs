//! Every protocol to TLS, in both roles, by the same two calls, in every cut.

use starttls::server::{Config, Grammar};
use starttls::{
    Client, Error as Rule, Policy, Server, client, ftp, imap, irc, ldap, mysql, nbd, nntp, nut,
    pop3, postgres, rdp, sieve, vnc, xmpp,
};
use starttls_tokio::{Error, accept, upgrade, upgrade_with};
use tokio::{join, try_join};

use crate::common::{self, Cut, Identity, ping, pipe};

const IRC_NAME: irc::Name<'static> = match irc::Name::new("irc.example.org") {
    Ok(name) => name,
    Err(_) => panic!(),
};

async fn meet<C: client::Grammar, S: Grammar>(
    client: impl Fn() -> Client<C>,
    server: impl Fn() -> Server<S>,
    cuts: impl IntoIterator<Item = usize>,
) {
    let identity = Identity::offering(C::PROTOCOL.alpn);
    for cut in cuts {
        let (here, there) = pipe();
        let (here, there) = try_join!(
            upgrade(Cut(here, cut), client(), &identity.connector, "localhost"),
            accept(Cut(there, cut), server(), &identity.acceptor),
        )
        .expect("upgraded");
        assert_eq!(here.get_ref().1.alpn_protocol(), C::PROTOCOL.alpn, "{}", C::PROTOCOL.name);
        ping(here, there).await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_them_meet() {
    let (required, config) = (Policy::Required, Config::default());
    let cuts = || [1, 2, 3, 7, 4096];
    meet(|| imap::Client::new(imap::Tag::new(7), required), || imap::Server::new(config), cuts())
        .await;
    meet(|| pop3::Client::new(required), || pop3::Server::new(config), cuts()).await;
    meet(|| ftp::Client::new(required), || ftp::Server::new(config), cuts()).await;
    meet(|| nntp::Client::new(required), || nntp::Server::new(config), cuts()).await;
    meet(
        || sieve::Client::new(required),
        || sieve::Server::new(sieve::Capabilities::default(), config),
        cuts(),
    )
    .await;
    meet(|| irc::Client::new(required), || irc::Server::new(IRC_NAME, config), cuts()).await;
    meet(|| nut::Client::new(required), || nut::Server::new(config), cuts()).await;
    meet(|| postgres::Client::new(required), || postgres::Server::new(config), cuts()).await;
    meet(|| ldap::Client::new(required), || ldap::Server::new(config), cuts()).await;
    meet(|| mysql_client(required), || mysql_server(config), cuts()).await;
    let subtypes = &[vnc::Subtype::X509Plain];
    let offer = vnc::Offer { subtypes, plaintext: vnc::SecurityTypes::default() };
    meet(|| vnc::Client::new(subtypes, required), || vnc::Server::new(offer, config), cuts()).await;
    let offer = rdp::Offer { security: &[rdp::Security::Ssl], flags: 0 };
    let protocols = rdp::Protocols::SSL;
    meet(|| rdp::Client::new(protocols, required), || rdp::Server::new(offer, config), cuts())
        .await;
}

#[tokio::test(start_paused = true)]
async fn mail_in_every_cut() {
    meet(common::client, common::server, 1..=100).await;
}

#[tokio::test(start_paused = true)]
async fn xmpp_and_nbd_meet_too() {
    let (required, config) = (Policy::Required, Config::default());
    let cuts = || [1, 2, 3, 7, 4096];
    let flags = nbd::Flags::default();
    meet(|| nbd::Client::new(flags, required), || nbd::Server::new(flags, config), cuts()).await;
    let name = xmpp::Domain::new("example.org").expect("a name");
    let id = || xmpp::StreamId::new(7);
    meet(|| xmpp::Client::new(name, required), || xmpp::Server::new(name, id(), config), cuts())
        .await;
}

const SCRAMBLE: [u8; 20] = *b"abcdefghijklmnopqrst";

fn mysql_client(policy: Policy) -> mysql::Client {
    mysql::Client::new(mysql::SslRequest::default(), policy)
}

fn mysql_server(config: Config) -> mysql::Server<'static> {
    let version = mysql::Text::new("8.0.0").expect("a version");
    mysql::Server::new(mysql::Greeting::new(version, 1, mysql::Scramble::new(SCRAMBLE)), config)
}

/// A client of MySQL answers inside TLS what the server said before.
#[tokio::test(start_paused = true)]
async fn what_was_said_can_be_kept() {
    let identity = Identity::new();
    let (here, there) = pipe();
    let look = |client: &mysql::Client| {
        let said = client.handshake().expect("it has come");
        said.scramble().collect::<Vec<_>>()
    };
    let client = mysql_client(Policy::Required);
    let ((here, scramble), there) = try_join!(
        upgrade_with(here, client, &identity.connector, "localhost", look),
        accept(there, mysql_server(Config::default()), &identity.acceptor),
    )
    .expect("upgraded");
    assert_eq!(scramble, SCRAMBLE);
    ping(here, there).await;
}

/// A client that begins with TLS, where a server sees that, has to name the protocol.
#[tokio::test(start_paused = true)]
async fn who_begins_with_tls_names_the_protocol() {
    let offers: [&[&[u8]]; 4] = [&[b"postgresql"], &[b"http/1.1", b"postgresql"], &[], &[b"pop3"]];
    for (server_alpn, welcome) in [(Some(&b"postgresql"[..]), true), (None, false)] {
        let identity = Identity::offering(server_alpn);
        for (offer, named) in offers.into_iter().zip([true, true, false, false]) {
            let (here, there) = pipe();
            let offer = offer.iter().map(|id| id.to_vec()).collect();
            let name = "localhost".try_into().expect("a name");
            let server = postgres::Server::new(Config::default());
            let (client, server) = join!(
                identity.connector.with_alpn(offer).connect(name, here),
                accept(there, server, &identity.acceptor),
            );
            match server {
                Ok(server) => {
                    assert!(named && welcome);
                    ping(client.expect("connected"), server).await;
                }
                Err(Error::Tls(error)) => {
                    assert_eq!(error, rustls::Error::NoApplicationProtocol);
                }
                Err(error) => {
                    assert!(!(named && welcome));
                    assert_eq!(error.protocol(), Some(Rule::Foreign), "{error}");
                }
            }
        }
    }
}
