//! Every protocol to TLS, in both roles, by the same two calls, in every cut.

use starttls::server::{Config, Grammar};
use starttls::{Client, Policy, Server, client, ftp, imap, irc, nntp, nut, pop3, sieve};
use starttls_tokio::{accept, upgrade};
use tokio::try_join;

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
}

#[tokio::test(start_paused = true)]
async fn mail_in_every_cut() {
    meet(common::client, common::server, 1..=100).await;
}
